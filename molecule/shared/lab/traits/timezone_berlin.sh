# Berlin time.
ln -sf /usr/share/zoneinfo/Europe/Berlin /etc/localtime
test -e /etc/localtime
echo Europe/Berlin >/etc/timezone
