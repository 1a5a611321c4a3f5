#!/bin/sh
# Takes from a virtual environment what a run does not need: FOLDER cpu|cuda. Bytecode is made anew at
# the first import, below PYTHONPYCACHEPREFIX.
set -eu
folder=$1
packages=$(echo "$folder"/lib/python3*/site-packages)
# Headers and static libraries are for compilers, which the image has none of.
rm -rf "$packages"/torch/include "$packages"/torch/share "$packages"/torch/test \
    "$packages"/pyarrow/include "$packages"/pyarrow/src "$folder"/include
find "$packages" -name "*.a" -type f -delete
# The tests of libraries; `testing` is another thing, and imported.
find "$packages" -type d -name tests -prune -exec rm -rf {} +
if [ "$2" = cpu ]; then
    find "$packages"/bitsandbytes -name "libbitsandbytes_*.so" ! -name "*_cpu*" -delete
fi
"$folder"/bin/python -m pip uninstall --quiet --yes hatchling pip
rm -rf "$packages"/setuptools "$packages"/pkg_resources "$packages"/_distutils_hack \
    "$packages"/setuptools-*.dist-info "$packages"/distutils-precedence.pth
find "$folder" -type d -name __pycache__ -prune -exec rm -rf {} +
