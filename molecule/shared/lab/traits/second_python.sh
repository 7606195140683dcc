# Another Python, newer by its name, that comes first in the PATH and lacks what Debian's has (python3-apt).
python3 -m venv --without-pip /usr/local/lib/second-python
ln -s /usr/local/lib/second-python/bin/python3 /usr/local/bin/python3
ln -s python3 /usr/local/bin/python3.13
