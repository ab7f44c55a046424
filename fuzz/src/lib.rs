//! What the fuzz targets share: a bound on memory, kept per input.
//!
//! Each file of `targets/` is one decoder of a stranger's bytes and what must hold of it, whatever
//! the bytes. Run them with `cargo xtask fuzz`.
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Does `work` and checks that at no moment it took more than `most` bytes of memory beyond what
/// was taken before.
///
/// # Panics
///
/// When it took more.
pub fn within<T>(most: usize, work: impl FnOnce() -> T) -> T {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = work();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= most, "took {taken} bytes of memory, at most {most} are allowed");
    result
}
