"""The DuckLake: connection, snapshots, transactions, named SQL, migrations, writer lock."""

from warehouse.lake.lake import Lake, Transaction
from warehouse.lake.spec import LakeError, LakeSpec
from warehouse.lake.sql import ReadSql

__all__ = ["Lake", "LakeError", "LakeSpec", "ReadSql", "Transaction"]
