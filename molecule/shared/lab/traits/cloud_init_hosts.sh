# Debian's cloud images: cloud-init writes /etc/hosts again at each boot. No cloud is there to ask.
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends cloud-init
cat >/etc/cloud/cloud.cfg.d/90-lab.cfg <<'END'
datasource_list: [None]
manage_etc_hosts: true
preserve_hostname: true
ssh_deletekeys: false
ssh_genkeytypes: []
users: []
network: {config: disabled}
END
