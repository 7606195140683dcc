#!/bin/bash
# guide.sh LAB_DIRECTORY: the published guides' steps as plain shell over SSH, every
# step on all of its hosts at once, each step after the one before, as they are
# printed. What is broken in them is fixed in the cheapest way that works: the
# broker URL names the node that owns the slot of Airflow's keys.
set -euo pipefail
lab=$1
here=$(cd "$(dirname "$0")" && pwd)
lock=$here/../../roles/airflow_common/files/locks/airflow-3.3.2.txt
dags=$here/../../roles/airflow_common/files/sample_dags
net=10.123.7
redis="11 12 13" metastore=21 masters="31 32" workers="41 42 43" front=51
airflow="$masters $workers $front"
password=guide-password-0123456789
options=(-q -i "$lab/id_ed25519" -o "UserKnownHostsFile=$lab/known_hosts" -o ControlMaster=auto
  -o ControlPersist=60s -o "ControlPath=$lab/ssh/guide-%h")
mkdir -p "$lab/ssh"

on() { # on "HOSTS" <<SCRIPT: runs the script as root on all hosts at once
  local hosts=$1 script pids=() host
  script=$(cat)
  for host in $hosts; do
    ssh "${options[@]}" "admin@$net.$host" sudo bash -es <<<"$script" >/dev/null &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
}

# 1. System packages and Python
on "$redis $metastore $airflow" <<'E1'
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get -y -qq upgrade
apt-get -y -qq install python3 python3-venv python3-pip
E1

# 2. Redis, PostgreSQL and nginx
on "$redis" <<E2 &
export DEBIAN_FRONTEND=noninteractive
apt-get -y -qq install redis-server
systemctl disable --now redis-server
for port in 7000 7001; do
  install -d -o redis -g redis /var/lib/redis/\$port
  cat >/etc/redis/redis-\$port.conf <<C
port \$port
bind 0.0.0.0
protected-mode no
cluster-enabled yes
cluster-config-file nodes-\$port.conf
cluster-node-timeout 5000
appendonly yes
dir /var/lib/redis/\$port
requirepass $password
masterauth $password
C
  cat >/etc/systemd/system/redis-\$port.service <<C
[Service]
User=redis
ExecStart=/usr/bin/redis-server /etc/redis/redis-\$port.conf
Restart=always
[Install]
WantedBy=multi-user.target
C
done
systemctl daemon-reload
systemctl enable --now redis-7000 redis-7001
E2
on "$metastore" <<E3 &
export DEBIAN_FRONTEND=noninteractive
apt-get -y -qq install postgresql
cd /
sudo -u postgres psql -q -c "create user airflow password '$password'" -c "create database airflow owner airflow"
echo "listen_addresses = '*'" >/etc/postgresql/15/main/conf.d/airflow.conf
echo "host airflow airflow $net.0/24 scram-sha-256" >>/etc/postgresql/15/main/pg_hba.conf
systemctl restart postgresql
E3
on "$front" <<E4 &
export DEBIAN_FRONTEND=noninteractive
apt-get -y -qq install nginx
cat >/etc/nginx/sites-enabled/default <<C
upstream airflow { server $net.31:8080; server $net.32:8080; }
server {
  listen 80;
  location / { proxy_pass http://airflow; proxy_set_header Host \\\$http_host; }
  location /flower/ { proxy_pass http://127.0.0.1:5555; }
}
C
systemctl reload nginx
E4
wait

# 3. The Redis Cluster
on 11 <<E5
sleep 1
REDISCLI_AUTH=$password redis-cli --cluster create $net.11:7000 $net.12:7000 $net.13:7000 \
  $net.11:7001 $net.12:7001 $net.13:7001 --cluster-replicas 1 --cluster-yes
E5
slot=$(ssh "${options[@]}" admin@$net.11 "REDISCLI_AUTH=$password redis-cli -p 7000 cluster keyslot '{airflow}'")
# Right after the creation a node may not know every other's slots yet.
for _ in $(seq 50); do
  owner=$(ssh "${options[@]}" admin@$net.11 "REDISCLI_AUTH=$password redis-cli -p 7000 cluster nodes" |
    awk -v slot="$slot" '$3 ~ /master/ { split($9, r, "-")
      if (slot >= r[1] + 0 && slot <= r[2] + 0) { split($2, a, "@"); print a[1] } }')
  [ -n "$owner" ] && break
  sleep 0.2
done
[ -n "$owner" ] || { echo "No Redis node owns slot $slot." >&2; exit 1; }

# 4. A virtualenv with Airflow on every Airflow host; the same packages as ours, by pip
grep -oE '^[A-Za-z0-9._-]+==[^ ]+( ;.*[^\\ ])?' "$lock" >"$lab/requirements.txt"
on "$airflow" <<E6
id airflow >/dev/null 2>&1 || useradd --system --create-home --home /opt/airflow airflow
install -d -o airflow /opt/airflow/dags /opt/airflow/logs
cat >/opt/airflow/requirements.txt <<'R'
$(cat "$lab/requirements.txt")
R
sudo -u airflow python3 -m venv /opt/airflow/venv
sudo -u airflow /opt/airflow/venv/bin/pip install -q -r /opt/airflow/requirements.txt
cat >/opt/airflow/airflow.env <<C
AIRFLOW_HOME=/opt/airflow
PATH=/opt/airflow/venv/bin:/usr/bin:/bin
AIRFLOW__CORE__EXECUTOR=CeleryExecutor
AIRFLOW__CORE__LOAD_EXAMPLES=False
AIRFLOW__CORE__AUTH_MANAGER=airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager
AIRFLOW__CORE__FERNET_KEY=ZmVybmV0LWtleS1vZi0zMi1ieXRlcy1hcy1pdC1pcyE=
AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://$net.31:8080/execution/
AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=postgresql+psycopg2://airflow:$password@$net.$metastore/airflow
AIRFLOW__CELERY__RESULT_BACKEND=db+postgresql+psycopg2://airflow:$password@$net.$metastore/airflow
AIRFLOW__CELERY__BROKER_URL=redis://:$password@$owner/0
AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX={airflow}:
AIRFLOW__API__SECRET_KEY=$password
AIRFLOW__API_AUTH__JWT_SECRET=$password$password$password
AIRFLOW__CELERY__FLOWER_URL_PREFIX=/flower
C
E6
for host in $masters $workers; do
  tar -C "$dags" -c hello_world2.py test_ha_celery_workers.py |
    ssh "${options[@]}" "admin@$net.$host" sudo tar --no-same-owner -C /opt/airflow/dags -x
done

# 5. Migration and the admin user
on 31 <<'E7'
cd /opt/airflow
run() { sudo -u airflow env $(cat airflow.env) airflow "$@"; }
run db migrate
run users create --role Admin --username admin --password guide-admin-password --email a@example.org \
  --firstname A --lastname A
E7

# 6. Services
service() { # service "HOSTS" NAME COMMAND
  on "$1" <<E8
cat >/etc/systemd/system/airflow-$2.service <<C
[Service]
User=airflow
EnvironmentFile=/opt/airflow/airflow.env
ExecStart=/opt/airflow/venv/bin/airflow $3
Restart=always
[Install]
WantedBy=multi-user.target
C
systemctl daemon-reload
systemctl enable -q --now airflow-$2
E8
}
for part in api-server scheduler dag-processor triggerer; do service "$masters" $part $part; done
service 41 worker "celery worker --queues default,cloudwalker_q1 --concurrency 4"
service "42 43" worker "celery worker --queues default,cloudwalker_q2 --concurrency 4"
service $front flower "celery flower"
