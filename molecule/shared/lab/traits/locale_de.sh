# Programs and services speak German.
echo 'de_DE.UTF-8 UTF-8' >>/etc/locale.gen
locale-gen
printf 'LANG=de_DE.UTF-8\n' >/etc/default/locale
systemctl set-environment LANG=de_DE.UTF-8
