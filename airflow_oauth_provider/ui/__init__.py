"""A page of the Airflow UI: what is known of each connection's token."""
