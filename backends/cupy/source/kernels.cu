// The kernels of a step, as templates: every size is a parameter, every sum has one order (docs/bits.md).
//
// A kernel is one phase of the plan.  Its blocks of THREADS threads share out the calls of the phase; blockIdx.y is the trial.  A call is
// a function of the number of its block.  `room` is the shared memory of the block.
//
// N images, H W rows and columns, C channels; M rows, K terms, N columns of a product; LANES partial sums of a reduction over neighbours

constexpr int THREADS = 256;
constexpr int LANES = 16;
typedef unsigned char byte;
typedef unsigned int word;
typedef long long index;

// -- arithmetic: each operation rounded once, denormal operands and results zero ------------------------------------------------------------

namespace op {

#define INLINE __device__ __forceinline__

#if PRECISION == 32  // the compiler's -ftz=true flushes every operation
INLINE number flushed(number x) { return x; }
INLINE number fused(number x, number y, number z) { return FMA32(x, y, z); }
INLINE whole bits(number x) { return __float_as_int(x); }
INLINE number from_bits(whole x) { return __int_as_float(x); }
constexpr whole SIGN = (whole)0x80000000u;
constexpr int MANTISSA = 23, BIAS = 127;
#else  // a GPU flushes no float64
INLINE number flushed(number x) {
    const number size = __longlong_as_double(__double_as_longlong(x) & 0x7fffffffffffffffll);
    return size < 2.2250738585072014e-308 ? __longlong_as_double(__double_as_longlong(x) & (whole)0x8000000000000000ull) : x;
}
INLINE number fused(number x, number y, number z) { return FMA64(x, y, z); }
INLINE whole bits(number x) { return __double_as_longlong(x); }
INLINE number from_bits(whole x) { return __longlong_as_double(x); }
constexpr whole SIGN = (whole)0x8000000000000000ull;
constexpr int MANTISSA = 52, BIAS = 1023;
#endif

INLINE number infinity() { return from_bits((whole)(2 * BIAS + 1) << MANTISSA); }
INLINE number nan() { return from_bits(((whole)(2 * BIAS + 1) << MANTISSA) | ((whole)1 << (MANTISSA - 1))); }
INLINE bool is_nan(number x) { return x != x; }
INLINE bool finite(number x) { return x - x == 0; }

INLINE number add(number x, number y) { return flushed(flushed(x) + flushed(y)); }
INLINE number sub(number x, number y) { return flushed(flushed(x) - flushed(y)); }
INLINE number mul(number x, number y) { return flushed(flushed(x) * flushed(y)); }
INLINE number div(number x, number y) { return flushed(flushed(x) / flushed(y)); }
INLINE number sqrt(number x) { return flushed(SQRT(flushed(x))); }
INLINE number fma(number x, number y, number z) { return flushed(fused(flushed(x), flushed(y), flushed(z))); }  // x y + z
INLINE number neg(number x) { return from_bits(bits(x) ^ SIGN); }
INLINE number abs(number x) { return from_bits(bits(x) & ~SIGN); }

INLINE bool greater(number x, number y) { return flushed(x) > flushed(y); }
INLINE bool less(number x, number y) { return flushed(x) < flushed(y); }
INLINE bool equal(number x, number y) { return flushed(x) == flushed(y); }
INLINE bool greater(int x, int y) { return x > y; }
INLINE bool less(int x, int y) { return x < y; }
INLINE bool equal(int x, int y) { return x == y; }
template <class T> INLINE T where(bool condition, T x, T y) { return condition ? x : y; }
template <class T> INLINE T spread(T x) { return x; }
INLINE number maximum(number x, number y) { return is_nan(y) ? y : greater(y, x) ? y : x; }  // a NaN comes through

// -- mathematics: fixed chains of the operations above --------------------------------------------------------------------------------------

INLINE number polynomial(number x, number c) { return c; }
template <class... Rest> INLINE number polynomial(number x, number c, Rest... rest) { return fma(polynomial(x, number(rest)...), x, c); }

struct reduced { number small, power; };  // e^r - 1 and 2^n

// x = n log 2 + r with |r| <= log(2) / 2, n clamped so that 2^n is finite
INLINE reduced reduce(number x) {
    number n = RINT(mul(x, number($ONE_OVER_LN2)));
    n = greater(n, number(BIAS)) ? number(BIAS) : n;
    n = less(n, number(1 - BIAS)) ? number(1 - BIAS) : n;
    const number r = fma(n, number(-($LN2_LOW)), fma(n, number(-($LN2_HIGH)), x));
    const number series = polynomial(r, $EXP);
    return {mul(r, series), from_bits(((whole)n + BIAS) << MANTISSA)};
}

INLINE number in_range(number x, number result, number least) {
    result = greater(x, number($EXP_HIGH)) ? infinity() : result;
    result = less(x, number($EXP_LOW)) ? least : result;
    return is_nan(x) ? x : result;
}

INLINE number exp(number x) {
    const reduced e = reduce(x);
    return in_range(x, fma(e.small, e.power, e.power), number(0));
}

// 2^n (e^r - 1) + (2^n - 1)
INLINE number expm1(number x) {
    const reduced e = reduce(x);
    return in_range(x, fma(e.small, e.power, sub(e.power, number(1))), number(-1));
}

// x = 2^n m with m in [sqrt(1/2), sqrt(2)): log m = 2 artanh((m - 1) / (m + 1)) = f - s f + s square series
INLINE number log(number x) {
    const bool tiny = less(x, number($LEAST));
    const number scaled = tiny ? mul(x, number($SCALE)) : x;
    const whole shifted = (bits(scaled) - $HALF) >> MANTISSA;
    const number mantissa = from_bits(bits(scaled) - (whole)((unsigned_whole)shifted << MANTISSA));
    const number n = sub(number(shifted), tiny ? number($SCALE_LOG2) : number(0));
    const number f = sub(mantissa, number(1)), s = div(f, add(f, number(2))), square = mul(s, s);
    const number series = polynomial(square, $LOG);
    const number rest = mul(s, sub(f, mul(square, series)));
    const number low = fma(n, number($LN2_LOW), neg(rest));
    number result = add(mul(n, number($LN2_HIGH)), add(f, low));
    result = equal(x, number(0)) ? neg(infinity()) : result;
    result = equal(x, infinity()) ? x : result;
    return less(x, number(0)) || is_nan(x) ? nan() : result;
}

// log(u) x / (u - 1) with u = 1 + x rounded (Goldberg 1991, theorem 4)
INLINE number log1p(number x) {
    const number u = add(x, number(1)), exact = sub(u, number(1));
    const bool lost = equal(exact, number(0));
    const number result = mul(log(u), div(x, lost ? number(1) : exact));
    return lost || equal(u, infinity()) ? x : result;
}

// t / (t + 2) with t = exp(2 |x|) - 1
INLINE number tanh(number x) {
    const number size = abs(x), top = number($TANH_TOP);
    const number clipped = less(size, top) || is_nan(size) ? size : top;
    const reduced e = reduce(add(clipped, clipped));
    const number t = fma(e.small, e.power, sub(e.power, number(1)));
    const number result = div(t, add(t, number(2)));
    return less(x, number(0)) ? neg(result) : result;
}

INLINE number sigmoid(number x) { return div(number(1), add(number(1), exp(neg(x)))); }

// Taylor up to |x| = 1, above it 1 - exp(-x^2) times a polynomial of u
INLINE number erf(number x) {
    const number near = mul(x, polynomial(mul(x, x), $ERF_TAYLOR));
    const number a = abs(x), top = number($ERF_TOP);
    const number clipped = less(a, top) || is_nan(a) ? a : top;
    const number u = sub(div(number($ERF_SLOPE), add(clipped, number($ERF_SHIFT))), number($ERF_OFFSET));
    const number power = exp(neg(mul(clipped, clipped)));
    number far = fma(neg(power), polynomial(u, $ERF_TAIL), number(1));
    far = less(x, number(0)) ? neg(far) : far;
    return less(a, number(1)) ? near : far;
}

// -- random numbers: Philox4x32-10, 24 bits on [0, 1) -----------------------------------------------------------------------------------------

// element e takes word (e / 16) % 4 of counter 16 (e / 64) + e % 16
INLINE number uniform(index e, word seed, word step_low, word step_high, word stream, word path) {
    word c0 = (word)(16 * (e / 64) + e % 16), c1 = path, c2 = step_low, c3 = step_high, k0 = seed, k1 = stream;
    for (int round = 0; round < 10; ++round) {
        const word high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        const word high2 = __umulhi(0xCD9E8D57u, c2), low2 = 0xCD9E8D57u * c2;
        c0 = high2 ^ c1 ^ k0, c1 = low2, c2 = high0 ^ c3 ^ k1, c3 = low0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    const int place = (int)(e / 16 % 4);
    const word drawn = place == 0 ? c0 : place == 1 ? c1 : place == 2 ? c2 : c3;
    return mul(number((int)(drawn >> 8)), number(1.0 / 16777216));
}

}  // namespace op

// -- reductions ---------------------------------------------------------------------------------------------------------------------------------

struct sum {
    static INLINE number start() { return number(0); }
    static INLINE number of(number total, number x) { return op::add(total, x); }
};
struct largest {
    static INLINE number start() { return op::neg(op::infinity()); }
    static INLINE number of(number total, number x) { return op::maximum(total, x); }
};

// the LANES partial results at x combined pairwise: lane i with i + 8, then i + 4, i + 2, i + 1
template <class R> INLINE number folded(const number* x) {
    number t[LANES];
    for (int i = 0; i < LANES; ++i) t[i] = x[i];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) t[i] = R::of(t[i], t[i + half]);
    return t[0];
}

// -- products -------------------------------------------------------------------------------------------------------------------------------------

// C[m, n] = sum over k < terms of A(m, k) B(k, n), one chain of fused multiply-adds in the order of k, terms outside A left out.
// A block makes a tile of TM x TN in registers, RM x RN a thread, and hands each element to `end`.  A(m, k, inside), A.row(m), B(k, n)
// A chain begins with 0, or with what lies where a `taken_up` ends.
template <class End> INLINE number begun(const End&, int, int) { return number(0); }
template <int COLUMNS> struct taken_up {
    number* y;
    INLINE void operator()(int row, int column, number product) const { y[(index)row * COLUMNS + column] = product; }
};
template <int COLUMNS> INLINE number begun(const taken_up<COLUMNS>& end, int row, int column) { return end.y[(index)row * COLUMNS + column]; }

template <int M, int N, int TM, int TN, int RM, int RN, class A, class B, class End>
__device__ void product(int tile, number* room, int terms, const A& a, const B& b, const End& end) {
    constexpr int DEPTH = 16, ROWS = TM / RM, COLUMNS = TN / RN;
    static_assert(ROWS * COLUMNS == THREADS, "one thread for each part of a tile");
    number* const left = room;                          // [DEPTH, TM]
    number* const right = left + DEPTH * TM;            // [DEPTH, TN]
    byte* const there = (byte*)(right + DEPTH * TN);    // [DEPTH, TM], where A leaves terms out
    const int thread = threadIdx.x, y = thread / COLUMNS, x = thread % COLUMNS;
    const int top = tile / ((N + TN - 1) / TN) * TM, start = tile % ((N + TN - 1) / TN) * TN;
    number c[RM][RN];
    for (int i = 0; i < RM; ++i)
        for (int j = 0; j < RN; ++j) {
            const int m = top + y + i * ROWS, n = start + x + j * COLUMNS;
            c[i][j] = m < M && n < N ? begun(end, a.row(m), n) : number(0);
        }
    for (int first = 0; first < terms; first += DEPTH) {
        const int depth = terms - first < DEPTH ? terms - first : DEPTH;
        for (int s = thread; s < DEPTH * TM; s += THREADS) {
            const int k = A::along_terms ? s % DEPTH : s / TM, m = A::along_terms ? s / DEPTH : s % TM;
            bool inside = top + m < M && k < depth;
            left[k * TM + m] = inside ? op::flushed(a(top + m, first + k, inside)) : number(0);
            if (A::leaves_out) there[k * TM + m] = inside;
        }
        for (int s = thread; s < DEPTH * TN; s += THREADS) {
            const int k = B::along_terms ? s % DEPTH : s / TN, n = B::along_terms ? s / DEPTH : s % TN;
            right[k * TN + n] = start + n < N && k < depth ? op::flushed(b(first + k, start + n)) : number(0);
        }
        __syncthreads();
        for (int k = 0; k < depth; ++k) {
            number column[RM], line[RN];
            for (int i = 0; i < RM; ++i) column[i] = left[k * TM + y + i * ROWS];
            for (int j = 0; j < RN; ++j) line[j] = right[k * TN + x + j * COLUMNS];
            for (int i = 0; i < RM; ++i)
                if (!A::leaves_out || there[k * TM + y + i * ROWS])
                    for (int j = 0; j < RN; ++j) c[i][j] = op::flushed(op::fused(column[i], line[j], c[i][j]));
        }
        __syncthreads();
    }
    for (int i = 0; i < RM; ++i)
        for (int j = 0; j < RN; ++j) {
            const int m = top + y + i * ROWS, n = start + x + j * COLUMNS;
            if (m < M && n < N) end(a.row(m), n, c[i][j]);
        }
}

// a matrix in memory as the left operand: A[m, k] = x[m ROW + k TERM]
template <int ROW, int TERM> struct left_matrix {
    static constexpr bool along_terms = TERM == 1, leaves_out = false;
    const number* x;
    INLINE number operator()(int m, int k, bool& inside) const { return x[(index)m * ROW + (index)k * TERM]; }
    INLINE int row(int m) const { return m; }
};

// and as the right one: B[k, n] = x[k TERM + n COLUMN]
template <int TERM, int COLUMN> struct right_matrix {
    static constexpr bool along_terms = TERM == 1 && COLUMN != 1;
    const number* x;
    INLINE number operator()(int k, int n) const { return x[(index)k * TERM + (index)n * COLUMN]; }
};

// what stores the product as it is
template <int COLUMNS> struct stored {
    number* y;
    INLINE void operator()(int row, int column, number product) const { y[(index)row * COLUMNS + column] = product; }
};

INLINE bool within(int x, int size) { return (word)x < (word)size; }

// Term k of a sum of a convolution: taps of the rows, groups of the taps of the columns, channels, taps of the group.
struct term { int i, c, j; };
template <class S> INLINE term term_of(int k) {
    const int i = k / (S::COLUMN_TAPS * S::C), u = k % (S::COLUMN_TAPS * S::C);
    for (int g = S::GROUPS - 1; g > 0; --g) {
        const int low = S::COLUMN_TAPS * g / S::GROUPS, size = S::COLUMN_TAPS * (g + 1) / S::GROUPS - low;
        if (u >= low * S::C) return {i, (u - low * S::C) / size, low + (u - low * S::C) % size};
    }
    constexpr int size = S::COLUMN_TAPS / S::GROUPS;
    return {i, u / size, u % size};
}

// What position m of a lattice S reads of the source [N, H, W, C]: number q along an axis reads tap t at q PACE + OFFSET + t RISE.
template <class S> struct seen {
    static constexpr bool along_terms = true, leaves_out = true;
    const number* x;
    INLINE number operator()(int m, int k, bool& inside) const {
        const term t = term_of<S>(k);
        const int q = m % S::COLUMNS, r = m / S::COLUMNS % S::ROWS, n = m / (S::COLUMNS * S::ROWS);
        const int h = r * S::ROW_PACE + S::ROW_OFFSET + t.i * S::ROW_RISE, w = q * S::COLUMN_PACE + S::COLUMN_OFFSET + t.j * S::COLUMN_RISE;
        inside = within(h, S::H) && within(w, S::W);
        return inside ? x[(((index)n * S::H + h) * S::W + w) * S::C + t.c] : number(0);
    }
    INLINE int row(int m) const {
        const int q = m % S::COLUMNS, r = m / S::COLUMNS % S::ROWS, n = m / (S::COLUMNS * S::ROWS);
        return (n * S::OUT_H + r * S::ROW_STEP + S::ROW_FIRST) * S::OUT_W + q * S::COLUMN_STEP + S::COLUMN_FIRST;
    }
};

// and the weight that it is multiplied with, of [kh, kw, C, O], or of [kh, kw, O, C] where S::BACK
template <class S> struct weights {
    static constexpr bool along_terms = S::BACK;
    const number* w;
    INLINE number operator()(int k, int o) const {
        const term t = term_of<S>(k);
        const int i = S::ROW_PLACE + t.i * S::ROW_PLACE_STEP, j = S::COLUMN_PLACE + t.j * S::COLUMN_PLACE_STEP;
        const index place = (index)i * S::KW + j;
        return S::BACK ? w[(place * S::O + o) * S::C + t.c] : w[(place * S::C + t.c) * S::O + o];
    }
};

// What row m = (i, j, c) of a weight gradient reads of the image at term k = (n, p, q), from image `first` on.
template <class S> struct image_of_gradient {
    static constexpr bool along_terms = false, leaves_out = true;
    const number* x;
    int first;
    INLINE number operator()(int m, int k, bool& inside) const {
        const int c = m % S::C, j = m / S::C % S::KW, i = m / (S::C * S::KW);
        const int q = k % S::OUT_W, p = k / S::OUT_W % S::OUT_H, n = first + k / (S::OUT_W * S::OUT_H);
        const int h = p * S::SH + i * S::DH - S::TOP, w = q * S::SW + j * S::DW - S::LEFT;
        inside = within(h, S::H) && within(w, S::W);
        return inside ? x[(((index)n * S::H + h) * S::W + w) * S::C + c] : number(0);
    }
    INLINE int row(int m) const { return m; }
};

// -- windows over images: place (i, j) of the window at (r, q) is row r SH + i DH - TOP, column q SW + j DW - LEFT -----------------------------

// the position whose window has its place i at row h, if there is one
INLINE bool position(int h, int i, int stride, int padding, int dilation, int out, int& r) {
    const int far = h + padding - i * dilation;
    r = far / stride;
    return far >= 0 && r < out && r * stride == far;
}

// y [N, Ho, Wo, kh, kw, C]
template <class S> __device__ void patches(int block, const number* x, number* y) {
    const index e = (index)block * THREADS + threadIdx.x;
    if (e >= (index)S::N * S::OUT_H * S::OUT_W * S::KH * S::KW * S::C) return;
    const int c = e % S::C, j = e / S::C % S::KW, i = e / (S::C * S::KW) % S::KH;
    const index place = e / (S::C * S::KW * S::KH);
    const int q = place % S::OUT_W, r = place / S::OUT_W % S::OUT_H, n = place / (S::OUT_W * S::OUT_H);
    const int h = r * S::SH + i * S::DH - S::TOP, w = q * S::SW + j * S::DW - S::LEFT;
    y[e] = within(h, S::H) && within(w, S::W) ? x[(((index)n * S::H + h) * S::W + w) * S::C + c] : number(0);
}

// x[h, w] = sum over (i, j), in order, of y[r, q, i, j] where the window at (r, q) has place (i, j) at (h, w)
template <class S> __device__ void fold(int block, const number* y, number* x) {
    const index e = (index)block * THREADS + threadIdx.x;
    if (e >= (index)S::N * S::H * S::W * S::C) return;
    const int c = e % S::C, w = e / S::C % S::W, h = e / ((index)S::C * S::W) % S::H, n = e / ((index)S::C * S::W * S::H);
    number total = number(0);
    for (int i = 0; i < S::KH; ++i)
        for (int j = 0; j < S::KW; ++j) {
            int r, q;
            if (position(h, i, S::SH, S::TOP, S::DH, S::OUT_H, r) && position(w, j, S::SW, S::LEFT, S::DW, S::OUT_W, q))
                total = op::add(total, y[((((index)n * S::OUT_H + r) * S::OUT_W + q) * (S::KH * S::KW) + i * S::KW + j) * S::C + c]);
        }
    x[e] = total;
}

// the places of a window of a pool that lie in the image: rows top <= h < bottom, columns left <= w < right
template <class S> struct covered {
    int top, bottom, left, right;
    INLINE covered(int r, int q) {
        top = r * S::SH - S::TOP, bottom = top + S::KH < S::H ? top + S::KH : S::H, top = top < 0 ? 0 : top;
        left = q * S::SW - S::LEFT, right = left + S::KW < S::W ? left + S::KW : S::W, left = left < 0 ? 0 : left;
    }
    INLINE number count() const { return number((bottom - top) * (right - left)); }
    INLINE number largest_of(const number* x, int c) const {
        number most = largest::start();
        for (int h = top; h < bottom; ++h)
            for (int w = left; w < right; ++w) most = op::maximum(most, x[((index)h * S::W + w) * S::C + c]);
        return most;
    }
    // whether (h, w) is the first place of the window that holds its maximum
    INLINE bool first_at(const number* x, int c, int h, int w) const {
        const number most = largest_of(x, c);
        for (int u = top; u < bottom; ++u)
            for (int v = left; v < right; ++v)
                if (op::equal(x[((index)u * S::W + v) * S::C + c], most)) return u == h && v == w;
        return false;
    }
};

template <class S> __device__ void max_pool(int block, const number* x, number* y) {
    const index e = (index)block * THREADS + threadIdx.x;
    if (e >= (index)S::N * S::OUT_H * S::OUT_W * S::C) return;
    const int c = e % S::C, q = e / S::C % S::OUT_W, r = e / ((index)S::C * S::OUT_W) % S::OUT_H;
    const index n = e / ((index)S::C * S::OUT_W * S::OUT_H);
    y[e] = covered<S>(r, q).largest_of(x + n * (S::H * S::W * S::C), c);
}

// the first window that reaches row h
INLINE int first_over(int h, int padding, int window, int stride) {
    const int far = h + padding - window + 1;
    return far <= 0 ? 0 : (far + stride - 1) / stride;
}

// each place of the image gathers the gradients of the windows whose first maximum it is, in the order of the windows
template <class S> __device__ void max_pool_gradient(int block, const number* x, const number* g, number* dx) {
    const index e = (index)block * THREADS + threadIdx.x;
    if (e >= (index)S::N * S::H * S::W * S::C) return;
    const int c = e % S::C, w = e / S::C % S::W, h = e / ((index)S::C * S::W) % S::H;
    const index n = e / ((index)S::C * S::W * S::H);
    const number* const image = x + n * (S::H * S::W * S::C);
    number total = number(0);
    for (int r = first_over(h, S::TOP, S::KH, S::SH); r < S::OUT_H && r * S::SH - S::TOP <= h; ++r)
        for (int q = first_over(w, S::LEFT, S::KW, S::SW); q < S::OUT_W && q * S::SW - S::LEFT <= w; ++q) {
            const bool hit = covered<S>(r, q).first_at(image, c, h, w);
            const number given = hit ? g[((n * S::OUT_H + r) * S::OUT_W + q) * S::C + c] : number(0);
            total = S::APART ? given : op::add(total, given);
        }
    dx[e] = total;
}

template <class S> __device__ void average_pool(int block, const number* x, number* y) {
    const index e = (index)block * THREADS + threadIdx.x;
    if (e >= (index)S::N * S::OUT_H * S::OUT_W * S::C) return;
    const int c = e % S::C, q = e / S::C % S::OUT_W, r = e / ((index)S::C * S::OUT_W) % S::OUT_H;
    const index n = e / ((index)S::C * S::OUT_W * S::OUT_H);
    const covered<S> places(r, q);
    number total = number(0);
    for (int h = places.top; h < places.bottom; ++h)
        for (int w = places.left; w < places.right; ++w) total = op::add(total, x[((n * S::H + h) * S::W + w) * S::C + c]);
    y[e] = op::div(total, places.count());
}

template <class S> __device__ void average_pool_gradient(int block, const number* g, number* dx) {
    const index e = (index)block * THREADS + threadIdx.x;
    if (e >= (index)S::N * S::H * S::W * S::C) return;
    const int c = e % S::C, w = e / S::C % S::W, h = e / ((index)S::C * S::W) % S::H;
    const index n = e / ((index)S::C * S::W * S::H);
    number total = number(0);
    for (int i = 0; i < S::KH; ++i)
        for (int j = 0; j < S::KW; ++j) {
            int r, q;
            if (position(h, i, S::SH, S::TOP, 1, S::OUT_H, r) && position(w, j, S::SW, S::LEFT, 1, S::OUT_W, q))
                total = op::add(total, op::div(g[((n * S::OUT_H + r) * S::OUT_W + q) * S::C + c], covered<S>(r, q).count()));
        }
    dx[e] = total;
}

// -- normalization of groups of channels: a block is a sample [P, C], `rooms` four vectors [C] of its own -----------------------------------------

// sum over the channels of a group, in order, of what `value` gives
template <class S, class F> INLINE number over_group(int group, const F& value) {
    number total = number(0);
    for (int c = group * (S::C / S::G); c < (group + 1) * (S::C / S::G); ++c) total = op::add(total, value(c));
    return total;
}

// gives each channel of `target` the number of its group
template <class S, class F> INLINE void give(number* target, number* of_group, const F& value) {
    for (int group = threadIdx.x; group < S::G; group += THREADS) {
        const number x = value(group);
        if (of_group) of_group[group] = x;
        for (int c = group * (S::C / S::G); c < (group + 1) * (S::C / S::G); ++c) target[c] = x;
    }
    __syncthreads();
}

template <class S>
__device__ void group_norm(
    int n, number* rooms, const number* x, const number* gamma, const number* beta, const number* epsilon, number* y, number* mean, number* inverse
) {
    number *const center = rooms, *const std = rooms + S::C;
    x += (index)n * S::P * S::C, y += (index)n * S::P * S::C;
    for (int c = threadIdx.x; c < S::C; c += THREADS) {
        number total = number(0);
        for (int p = 0; p < S::P; ++p) total = op::add(total, x[(index)p * S::C + c]);
        center[c] = total;
    }
    __syncthreads();
    give<S>(center, mean + n * S::G, [&](int group) {
        return op::mul(over_group<S>(group, [&](int c) { return center[c]; }), number(1.0 / S::SIZE));
    });
    for (int c = threadIdx.x; c < S::C; c += THREADS) {
        number squares = number(0);
        for (int p = 0; p < S::P; ++p) {
            const number off = op::sub(x[(index)p * S::C + c], center[c]);
            squares = op::fma(off, off, squares);
        }
        std[c] = squares;
    }
    __syncthreads();
    give<S>(std, inverse + n * S::G, [&](int group) {
        const number variance = op::mul(over_group<S>(group, [&](int c) { return std[c]; }), number(1.0 / S::SIZE));
        return op::div(number(1), op::sqrt(op::add(variance, *epsilon)));
    });
    for (int e = threadIdx.x; e < S::P * S::C; e += THREADS) {
        const int c = e % S::C;
        y[e] = op::fma(op::sub(x[e], center[c]), op::mul(gamma[c], std[c]), beta[c]);
    }
}

template <class S>
__device__ void group_norm_gradient(
    int n, number* rooms, const number* x, const number* gamma, const number* mean, const number* inverse, const number* g, number* dx,
    number* gamma_part, number* beta_part
) {
    number *const center = rooms, *const std = rooms + S::C, *const level = rooms + 2 * S::C, *const slope = rooms + 3 * S::C;
    x += (index)n * S::P * S::C, g += (index)n * S::P * S::C, dx += (index)n * S::P * S::C;
    mean += n * S::G, inverse += n * S::G, gamma_part += n * S::C, beta_part += n * S::C;
    give<S>(center, nullptr, [&](int group) { return mean[group]; });
    give<S>(std, nullptr, [&](int group) { return inverse[group]; });
    for (int c = threadIdx.x; c < S::C; c += THREADS) {
        number products = number(0), plain = number(0);
        for (int p = 0; p < S::P; ++p) {
            const number sent = g[(index)p * S::C + c];
            products = op::fma(op::sub(x[(index)p * S::C + c], center[c]), sent, products);
            plain = op::add(plain, sent);
        }
        gamma_part[c] = op::mul(products, std[c]);
        beta_part[c] = plain;
    }
    __syncthreads();
    const auto share = [&](const number* part, int group) {
        const number total = over_group<S>(group, [&](int c) { return op::mul(part[c], gamma[c]); });
        return op::mul(op::mul(total, number(1.0 / S::SIZE)), inverse[group]);
    };
    give<S>(level, nullptr, [&](int group) { return share(beta_part, group); });
    give<S>(slope, nullptr, [&](int group) { return op::mul(share(gamma_part, group), inverse[group]); });
    for (int e = threadIdx.x; e < S::P * S::C; e += THREADS) {
        const int c = e % S::C;
        const number taken = op::fma(op::sub(x[e], center[c]), slope[c], level[c]);
        dx[e] = op::sub(op::mul(g[e], op::mul(gamma[c], std[c])), taken);
    }
}

// -- copies ------------------------------------------------------------------------------------------------------------------------------------------

// run `from` of a tensor [OUTER, RUN] to its place in [OUTER, WHOLE], or back
template <class T, int OUTER, int RUN, int WHOLE, int PLACE, bool JOINS> __device__ void move_run(int block, const T* from, T* to) {
    const index e = (index)block * THREADS + threadIdx.x;
    if (e >= (index)OUTER * RUN) return;
    const index whole = e / RUN * WHOLE + PLACE + e % RUN;
    to[JOINS ? whole : e] = from[JOINS ? e : whole];
}

// y[h, w] = x[h, W - 1 - w] where draws[n] < share, else x[h, w]
template <class S> __device__ void mirror(int block, const number* x, const number* draws, const number* share, number* y) {
    const index e = (index)block * THREADS + threadIdx.x;
    if (e >= (index)S::N * S::H * S::W * S::C) return;
    const index n = e / ((index)S::H * S::W * S::C);
    const int w = e / S::C % S::W;
    y[e] = x[op::less(draws[n], *share) ? e + (S::W - 1 - 2 * w) * S::C : e];
}

// floor(u (2 margin + 1)) - margin, exactly: u is a multiple of 2^-24
INLINE int moved(number u, int margin) { return (int)(((index)op::mul(u, number(16777216)) * (2 * margin + 1)) >> 24) - margin; }

// y[h, w] = x[h + down, w + right]; outside the image 0, or what lies nearest at its edge
template <class S> __device__ void shift(int block, const number* x, const number* draws, number* y) {
    const index e = (index)block * THREADS + threadIdx.x;
    if (e >= (index)S::N * S::H * S::W * S::C) return;
    const int c = e % S::C, w = e / S::C % S::W, h = e / ((index)S::C * S::W) % S::H;
    const index n = e / ((index)S::C * S::W * S::H);
    int u = h + moved(draws[2 * n], S::MARGIN), v = w + moved(draws[2 * n + 1], S::MARGIN);
    const bool inside = within(u, S::H) && within(v, S::W);
    u = u < 0 ? 0 : u >= S::H ? S::H - 1 : u, v = v < 0 ? 0 : v >= S::W ? S::W - 1 : v;
    y[e] = inside || S::EDGE ? x[((n * S::H + u) * S::W + v) * S::C + c] : number(0);
}
