# Another Python, newer by its name, that comes first in the PATH and lacks what Debian's has (python3-apt).
python3 -m venv --without-pip /usr/local/lib/second-python
printf '#!/bin/sh\nexec /usr/local/lib/second-python/bin/python3 "$@"\n' >/usr/local/bin/python3.13
chmod 0755 /usr/local/bin/python3.13
ln -s python3.13 /usr/local/bin/python3
