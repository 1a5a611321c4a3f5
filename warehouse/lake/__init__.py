"""The DuckLake: connection, snapshots, transactions, named SQL, migrations, writer lock."""

from warehouse.lake.lake import Lake, ReadSql, Transaction
from warehouse.lake.spec import LakeError, LakeSpec

__all__ = ["Lake", "LakeError", "LakeSpec", "ReadSql", "Transaction"]
