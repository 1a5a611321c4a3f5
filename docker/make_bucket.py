"""Makes the bucket of the object store in AWS_ENDPOINT_URL, unless it is there: NAME."""

from __future__ import annotations

import os
import sys

from pyarrow.fs import FileType, S3FileSystem


def main(name: str, endpoint: str) -> None:
    store = S3FileSystem(endpoint_override=endpoint, allow_bucket_creation=True)
    if store.get_file_info(name).type == FileType.NotFound:
        store.create_dir(name)


if __name__ == "__main__":
    main(sys.argv[1], os.environ["AWS_ENDPOINT_URL"])
