"""Native loops: the loop over time as machine code, by LLVM, for those who ask for it.

Plain NumPy is the default and the reference. What differs is what computes a schedule: instead of calls of NumPy over whole
arrays, nests of loops whose entries stay in registers, and products of our own. It is generated for each structure, compiled
once, and serves all numbers of steps, examples and columns.

| file | holds |
| --- | --- |
| form.py | the intermediate form: places, nests, products, stages |
| formulas.py | from opcode to the formula of one entry |
| lower.py | from a schedule to the form |
| source.py | from the form to source, in the small part of Python that is enough for it |
| compiler.py | from that source to instructions of LLVM |
| llvm.py | what that source calls: memory by address, BLAS, functions |
| curves.py | exp, σ and tanh as polynomials that are computed for several entries at once |
| build.py | from source to a compiled function; the cache |
| gemm.py | products with a matrix that is packed once for all steps |
| blas.py | where NumPy's BLAS is, for the others |
| flags.py | whether something overflowed |
| arrays.py | where an array, as an object, has the address of its data |
| run.py | the arrays of a run, and the call |
| rows.py | the cross-entropy of scores, row by row |
| request.py | who asked for it, and what to say where it cannot be had |
"""

from minigrad.loops.native.request import chosen, is_native, native

__all__ = ["chosen", "is_native", "native"]
