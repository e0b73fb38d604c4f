"""An authorization server and a protected API on loopback, and an Airflow that uses them."""
