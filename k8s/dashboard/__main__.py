"""`python -m k8s.dashboard`: write the dashboard where kustomize takes it from."""

from k8s.dashboard.build import FILE, dashboard_json

FILE.write_text(dashboard_json(), "utf-8")
