"""What `sqlmesh -p <this folder>` reads: the same configuration as the location's own runs."""

from databox_shared.settings import load_settings
from transform_location.warehouse import sqlmesh_config

config = sqlmesh_config(load_settings())
