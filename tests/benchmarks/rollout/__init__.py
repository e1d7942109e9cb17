"""Scale-out rehearsed: three services behind a real proxy are restarted, given other bundles and killed, under load."""
