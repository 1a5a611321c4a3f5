"""The DuckLake: connection, snapshots, transactions, named SQL, migrations, writer lock."""

from warehouse.lake.lake import Lake
from warehouse.lake.spec import LakeError, LakeSpec
from warehouse.lake.transaction import ReadSql, Transaction

__all__ = ["Lake", "LakeError", "LakeSpec", "ReadSql", "Transaction"]
