//! Readers that differ from this proxy's and hyper's.

use crate::listen::http::wire::framing::Framing;

/// The framings that different readers find in a head written for hyper.
pub(super) fn framings(written: &[u8]) -> Vec<Framing> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let parsed = httparse::parse_headers(after_first_line(written), &mut fields);
    let Ok(httparse::Status::Complete((_, strict))) = parsed else {
        panic!("not read strictly: {:?}", text(written));
    };
    let strict: Vec<_> =
        strict.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect();
    let mut readings = vec![strict];
    // Readers that end a line at any CR or LF, that trim names, or that equate `-` and `_`.
    for ends in [&b"\n"[..], b"\r\n", b"\r\n\x0b\x0c\x85"] {
        let lines = after_first_line(written).split(|byte| ends.contains(byte));
        let fields = lines.filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = text(&line[..colon]).trim().replace('_', "-");
            Some((name, line[colon + 1..].to_vec()))
        });
        readings.push(fields.collect());
    }
    let first_and_last = readings.into_iter().flat_map(|fields| {
        let backwards = fields.iter().rev().cloned().collect::<Vec<_>>();
        [framing(&fields), framing(&backwards)]
    });
    first_and_last.collect()
}

/// The framing according to the first field of each kind.
fn framing(fields: &[(String, Vec<u8>)]) -> Framing {
    let first = |wanted: &str| {
        let found = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| text(value).trim().to_ascii_lowercase())
    };
    match (first("transfer-encoding"), first("content-length")) {
        (None, None) => Framing::Unsaid,
        (None, Some(length)) => Framing::Length(length.parse().expect("a number")),
        (Some(coding), None) if coding == "chunked" => Framing::Chunked,
        both => panic!("{both:?}"),
    }
}

fn after_first_line(head: &[u8]) -> &[u8] {
    let end = head.windows(2).position(|two| two == b"\r\n").expect("a first line");
    &head[end + 2..]
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Checks that a head written for hyper ends at its empty line, and contains nothing unusual.
pub(super) fn assert_sound(written: &[u8], framing: Framing) {
    let empty = written.windows(4).position(|four| four == b"\r\n\r\n");
    assert_eq!(empty, Some(written.len() - 4), "{:?}", text(written));
    for (at, &byte) in written.iter().enumerate() {
        let end = match byte {
            b'\r' => written.get(at + 1) == Some(&b'\n'),
            b'\n' => at > 0 && written[at - 1] == b'\r',
            _ => !byte.is_ascii_control() || byte == b'\t',
        };
        assert!(end, "{byte:#x} at {at}: {:?}", text(written));
    }
    for reading in framings(written) {
        assert_eq!(reading, framing, "{:?}", text(written));
    }
}

/// The length of chunked content including trailers. Content known to be invalid may end anywhere.
pub(super) fn chunked(bytes: &[u8], is_bad: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let size = httparse::parse_chunk_size(&bytes[at..]);
        assert!(size.is_ok() || is_bad, "a bad size: {:?}", text(bytes));
        let httparse::Status::Complete((length, size)) = size.ok()? else { return None };
        at += length;
        if size == 0 {
            let mut trailers = [httparse::EMPTY_HEADER; 64];
            let trailers = httparse::parse_headers(&bytes[at..], &mut trailers);
            assert!(trailers.is_ok() || is_bad, "bad trailers: {:?}", text(bytes));
            let httparse::Status::Complete((length, _)) = trailers.ok()? else { return None };
            return Some(at + length);
        }
        at += usize::try_from(size).ok()?;
        if bytes.len() < at + 2 {
            return None;
        }
        assert_eq!(&bytes[at..at + 2], b"\r\n", "behind a chunk");
        at += 2;
    }
}
