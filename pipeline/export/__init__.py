"""A trained model for programs of others: ONNX, PyTorch, and its arrays by name.

forward.py     what a model computes from a row to its prediction, as a graph
onnx_ops.py    each op of it in ONNX's operators
onnx_file.py   an ONNX file with the columns of a table, the preprocessing and the names of classes
torch_ops.py   each op of it as a line of PyTorch
torch_file.py  a module of PyTorch that one can read, and its weights
arrays.py      npz and safetensors

Each op has a row in both tables of ops, or is refused by its name.
"""
