# Proxies in the environment of each login and service of PAM, at which nobody listens. apt goes without.
printf '%s=http://127.0.0.1:9\n' http_proxy https_proxy HTTP_PROXY HTTPS_PROXY >>/etc/environment
echo 'Acquire::http::Proxy "DIRECT"; Acquire::https::Proxy "DIRECT";' >/etc/apt/apt.conf.d/99direct
