// The rows of a step.  Denormals count here, as in a preprocessing done in advance: this file is compiled without flushing them.

// x[b, :] = number(source[order[b], :]), then (x - shift) * factor for one pair [2, D] after the other, each operation rounded
template <class Stored, int B, int D> __device__ void gather_numbers(
    int block, const Stored* source, const long long* order, const number* pairs, int count, number* x
) {
    const long long e = (long long)block * THREADS + threadIdx.x;
    if (e >= (long long)B * D) return;
    const int d = e % D;
    number made = number(source[order[e / D] * D + d]);
    for (int p = 0; p < count; ++p) made = (made - pairs[2 * p * D + d]) * pairs[(2 * p + 1) * D + d];
    x[e] = made;
}

template <class T, int B, int D> __device__ void gather_rows(int block, const T* source, const long long* order, T* target) {
    const long long e = (long long)block * THREADS + threadIdx.x;
    if (e < (long long)B * D) target[e] = source[order[e / D] * D + e % D];
}
