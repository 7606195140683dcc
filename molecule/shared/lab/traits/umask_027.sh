# What hardening guides ask for: each login, sudo's too, begins with umask 027.
echo 'session optional pam_umask.so umask=027' >>/etc/pam.d/common-session
echo 'session optional pam_umask.so umask=027' >>/etc/pam.d/common-session-noninteractive
