# IPv6 is switched off by sysctl, loopback's ::1 too; sockets can still be opened.
echo 'net.ipv6.conf.all.disable_ipv6 = 1' >/etc/sysctl.d/90-ipv6-off.conf
sysctl -w net.ipv6.conf.all.disable_ipv6=1
