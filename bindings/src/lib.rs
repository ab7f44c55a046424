//! Answers as bindgen to `libsqlite3-sys`'s build script, with the bindings that crate brings along.
//!
//! Its feature `preupdate_hook`, of which the feed of changes is made, compiles SQLite with that hook,
//! and has its bindings generated anew: for that everybody who builds would need libclang. They
//! would be those that lie beside `sqlite3.h` in the crate already, which have the hook: they are
//! copied. What the build script says about how to generate them has been heeded when they were made.
//!
//! It has what the build script calls and nothing else, so that a change there does not compile
//! here unnoticed.
use std::io;
use std::path::{Path, PathBuf};

/// The bindings that lie beside the header.
const BUNDLED: &str = "bindgen_bundled_version.rs";

/// Begins.
pub fn builder() -> Builder {
    Builder::default()
}

/// Takes the header's place, and what else the build script says.
#[derive(Debug, Default)]
pub struct Builder {
    header: PathBuf,
}

/// The bindings, found.
#[derive(Debug)]
pub struct Bindings(PathBuf);

/// The types of constants.
#[derive(Clone, Copy, Debug)]
pub enum MacroTypeVariation {
    /// Signed, which those brought along are.
    Signed,
}

/// What the build script brings to be asked.
pub mod callbacks {
    use std::fmt::Debug;

    /// The types of a constant.
    #[derive(Clone, Copy, Debug)]
    pub enum IntKind {
        /// An `unsigned int`.
        UInt,
    }

    /// Tells the types of constants.
    pub trait ParseCallbacks: Debug {
        /// The type of this one.
        fn int_macro(&self, _name: &str, _value: i64) -> Option<IntKind> {
            None
        }
    }
}

macro_rules! heeded_already {
    ($($name:ident: $type:ty),+ $(,)?) => {
        $(
            /// Heeded when the bindings were made.
            #[must_use]
            pub fn $name(self, _asked: $type) -> Self {
                self
            }
        )+
    };
}

// === impl Builder ===

impl Builder {
    heeded_already! {
        default_macro_constant_type: MacroTypeVariation,
        generate_comments: bool,
        generate_cstr: bool,
        trust_clang_mangling: bool,
        layout_tests: bool,
        parse_callbacks: Box<dyn callbacks::ParseCallbacks>,
        blocklist_function: &str,
        blocklist_type: &str,
        blocklist_item: &str,
        raw_line: &str,
        clang_arg: &str,
    }

    /// Heeded when the bindings were made.
    #[must_use]
    pub fn disable_nested_struct_naming(self) -> Self {
        self
    }

    /// Heeded when the bindings were made.
    #[must_use]
    pub fn use_core(self) -> Self {
        self
    }

    /// Heeded when the bindings were made.
    #[must_use]
    pub fn ignore_functions(self) -> Self {
        self
    }

    /// Takes the place of `sqlite3.h`.
    #[must_use]
    pub fn header(self, header: impl Into<String>) -> Self {
        Self { header: PathBuf::from(header.into()) }
    }

    /// Finds the bindings.
    ///
    /// # Errors
    ///
    /// When there are none beside the header, such as when SQLite is the system's own.
    pub fn generate(self) -> io::Result<Bindings> {
        let bundled = self.header.with_file_name(BUNDLED);
        if bundled.is_file() { Ok(Bindings(bundled)) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

// === impl Bindings ===

impl Bindings {
    /// Copies them to `path`.
    ///
    /// # Errors
    ///
    /// When the system refuses it.
    pub fn write_to_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        std::fs::copy(&self.0, path).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bindings_beside_the_header_are_copied() {
        let directory = std::env::temp_dir().join(format!("rowhouse-bindings-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        let header = directory.join("sqlite3.h").to_str().expect("readable").to_owned();
        assert!(builder().header(header.clone()).generate().is_err(), "there are none yet");
        std::fs::write(directory.join(BUNDLED), "bindings").expect("writes");
        let to = directory.join("out.rs");
        builder().header(header).generate().and_then(|found| found.write_to_file(&to)).expect("copies");
        assert_eq!(std::fs::read_to_string(&to).expect("reads"), "bindings");
        std::fs::remove_dir_all(&directory).expect("removes");
    }
}
