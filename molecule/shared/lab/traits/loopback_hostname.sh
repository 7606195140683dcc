# /etc/hosts as Debian's installer and its cloud images write it: the host's own name is on loopback.
printf '127.0.1.1 %s.lab.example %s\n' "$(hostname)" "$(hostname)" >>/etc/hosts
