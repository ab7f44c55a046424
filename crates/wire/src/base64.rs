//! base64 as protocols have it: written without padding, read with and without.
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Reads either form, and writes the one without padding.
pub(crate) const ANY: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Writes bytes, without padding.
pub(crate) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    let len = base64::encoded_len(bytes.len(), false).expect("a value is far shorter than memory");
    out.resize(start + len, 0);
    ANY.encode_slice(bytes, &mut out[start..]).expect("the length was computed");
}
