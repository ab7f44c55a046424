//! How SQLite is made to ask here: the file of a connection gets another table of methods, the copy of its own
//! with five of them replaced.
//!
//! That is how SQLite's own layers are put above each other (<https://sqlite.org/vfs.html>, "shims"), but that the
//! file is not wrapped: all other methods see the file that they know.
use crate::family::Family;
use crate::lock::{Lock, READS};
use rusqlite::Connection;
use rusqlite::ffi;
use std::ffi::c_int;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

const TAKE_SHARED: c_int = ffi::SQLITE_SHM_LOCK | ffi::SQLITE_SHM_SHARED;
const GIVE_BACK_SHARED: c_int = ffi::SQLITE_SHM_UNLOCK | ffi::SQLITE_SHM_SHARED;
const TAKE_ALONE: c_int = ffi::SQLITE_SHM_LOCK | ffi::SQLITE_SHM_EXCLUSIVE;

/// The table that a file's methods are looked up in, and what they need. It is made when a connection joins and dropped
/// when its file is closed.
#[repr(C)]
struct Methods {
    /// First, so that a pointer to it is one to all of this.
    table: ffi::sqlite3_io_methods,
    original: *const ffi::sqlite3_io_methods,
    close: unsafe extern "C" fn(*mut ffi::sqlite3_file) -> c_int,
    unmap: unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int) -> c_int,
    length: unsafe extern "C" fn(*mut ffi::sqlite3_file, *mut i64) -> c_int,
    lock: Arc<Lock>,
}

/// The locks of an open file, as SQLite's own method takes them.
#[derive(Debug)]
pub(crate) struct Shm {
    file: *mut ffi::sqlite3_file,
    lock: unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int, c_int, c_int) -> c_int,
}

// SAFETY: the method may be called on any thread by one at a time, which is who has the `Lock` that this is in.
unsafe impl Send for Shm {}

/// Lets the connection's main file ask a [`Lock`]; `None` if it has no such locks.
pub(crate) fn install(connection: &Connection, family: &Family) -> Option<Arc<Lock>> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the handle is not kept beyond the call below, and not closed.
    let handle = unsafe { connection.handle() };
    // SAFETY: this operation writes one pointer to where the last argument points.
    let told = unsafe {
        ffi::sqlite3_file_control(
            handle,
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            ptr::from_mut(&mut file).cast(),
        )
    };
    if told != ffi::SQLITE_OK || file.is_null() {
        return None;
    }
    // SAFETY: it is the file of an open connection, which nobody else uses while we borrow it.
    let original = unsafe { (*file).pMethods };
    if original.is_null() {
        return None;
    }
    // SAFETY: the table of an open file is valid, and lives as long as the file.
    let mut table = unsafe { *original };
    let (close, lock, unmap, length) = (table.xClose?, table.xShmLock?, table.xShmUnmap?, table.xFileSize?);
    table.xClose = Some(on_close);
    table.xShmLock = Some(on_lock);
    table.xShmUnmap = Some(on_unmap);
    table.xShmBarrier = Some(on_barrier);
    table.xFileSize = Some(on_length);
    let lock = Lock::new(family.clone(), Shm { file, lock });
    let methods = Box::new(Methods { table, original, close, unmap, length, lock: lock.clone() });
    // SAFETY: as above; the new table lives until `on_close` puts the old one back.
    unsafe { (*file).pMethods = Box::into_raw(methods).cast() };
    Some(lock)
}

/// The table of a file that it was installed in.
///
/// # Safety
///
/// `file` is one whose methods are ours, and is not closed while this is used.
unsafe fn methods<'a>(file: *mut ffi::sqlite3_file) -> &'a Methods {
    // SAFETY: by the caller's word it points to a file.
    let table = unsafe { (*file).pMethods };
    // SAFETY: by the caller's word the table is the first field of a `Methods` that lives as long as the file is open.
    unsafe { &*table.cast::<Methods>() }
}

unsafe extern "C" fn on_lock(file: *mut ffi::sqlite3_file, slot: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: SQLite calls this through our table, with an open file.
    let lock = unsafe { &methods(file).lock };
    match flags {
        TAKE_SHARED if READS.contains(&slot) => lock.take(slot),
        GIVE_BACK_SHARED if READS.contains(&slot) => lock.give_back(slot),
        _ => lock.other(slot..slot + count, flags, flags == TAKE_ALONE),
    }
}

unsafe extern "C" fn on_length(file: *mut ffi::sqlite3_file, to: *mut i64) -> c_int {
    // SAFETY: SQLite calls this through our table, with an open file.
    let methods = unsafe { methods(file) };
    let ask = || {
        let mut length = 0;
        // SAFETY: it is the method that the file had, and the number is there to be written.
        match unsafe { (methods.length)(file, &raw mut length) } {
            ffi::SQLITE_OK => Ok(length),
            error => Err(error),
        }
    };
    match methods.lock.length(ask) {
        Ok(length) => {
            // SAFETY: SQLite gives a place for the answer.
            unsafe { *to = length };
            ffi::SQLITE_OK
        }
        Err(error) => error,
    }
}

/// SQLite's own takes and releases a mutex of the whole process besides, "for redundancy".
unsafe extern "C" fn on_barrier(_file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn on_unmap(file: *mut ffi::sqlite3_file, deletes: c_int) -> c_int {
    // SAFETY: SQLite calls this through our table, with an open file.
    let methods = unsafe { methods(file) };
    // SAFETY: it is the method that the file had, with the arguments that it was meant for.
    methods.lock.end(false, || unsafe { (methods.unmap)(file, deletes) })
}

unsafe extern "C" fn on_close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite calls this through our table, with an open file.
    let table = unsafe { (*file).pMethods };
    // SAFETY: our table is the first field of what `install` boxed, and this is called once.
    let methods = unsafe { Box::from_raw(table.cast::<Methods>().cast_mut()) };
    // SAFETY: the file is open, and nobody uses it who is not closing it.
    unsafe { (*file).pMethods = methods.original };
    // SAFETY: it is the method that the file had.
    methods.lock.end(true, || unsafe { (methods.close)(file) })
}

// === impl Shm ===

impl Shm {
    pub(crate) fn take(&self, slot: c_int) -> c_int {
        self.call(slot, 1, TAKE_SHARED)
    }

    pub(crate) fn give_back(&self, slot: c_int) -> c_int {
        self.call(slot, 1, GIVE_BACK_SHARED)
    }

    pub(crate) fn other(&self, slots: Range<c_int>, flags: c_int) -> c_int {
        self.call(slots.start, slots.end - slots.start, flags)
    }

    fn call(&self, slot: c_int, count: c_int, flags: c_int) -> c_int {
        // SAFETY: it is the method that the file had, which is open: its `Lock` forgets this when it is closed. The
        // lock's mutex keeps two from calling it at once.
        unsafe { (self.lock)(self.file, slot, count, flags) }
    }
}
