//! What pages load: one style sheet, one script, one icon, all in the binary.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    web,
};

/// A file in the binary.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const STYLE: Asset = Asset {
    name: "console.css",
    content_type: "text/css; charset=utf-8",
    bytes: include_bytes!("../assets/console.css"),
};
const SCRIPT: Asset = Asset {
    name: "console.js",
    content_type: "text/javascript; charset=utf-8",
    bytes: include_bytes!("../assets/console.js"),
};
const ICON: Asset =
    Asset { name: "icon.svg", content_type: "image/svg+xml", bytes: include_bytes!("../assets/icon.svg") };

/// A year, which is as good as for ever: what changes has another address.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Where the files are, below a door's prefix. Their addresses tell of their content, so that browsers keep them for ever.
#[derive(Debug)]
pub(crate) struct Addresses {
    pub(crate) style: String,
    pub(crate) script: String,
    pub(crate) icon: String,
}

pub(crate) static ADDRESSES: LazyLock<Addresses> = LazyLock::new(|| {
    let address = |asset: &Asset| format!("assets/{:016x}/{}", hash(asset.bytes), asset.name);
    Addresses { style: address(&STYLE), script: address(&SCRIPT), icon: address(&ICON) }
});

/// FNV-1a: tells one version of a file from the next, which needs no cryptography.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Serves a file, under whichever hash it is asked for: a page that was made before an upgrade still finds its files.
pub(crate) async fn serve(request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (asked, name) = path.into_inner();
    let Some(asset) = [STYLE, SCRIPT, ICON].into_iter().find(|asset| asset.name == name) else {
        return HttpResponse::NotFound().finish();
    };
    let hash = format!("{:016x}", hash(asset.bytes));
    let etag = format!("\"{hash}\"");
    if request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return HttpResponse::NotModified().insert_header((ETAG, etag)).finish();
    }
    let keep = if asked == hash { FOR_EVER } else { "no-cache" };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, asset.content_type))
        .insert_header((CACHE_CONTROL, keep))
        .insert_header((ETAG, etag))
        .body(asset.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_of_the_content() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert!(ADDRESSES.style.starts_with("assets/") && ADDRESSES.style.ends_with("/console.css"));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for asset in [STYLE, SCRIPT, ICON] {
            let text = std::str::from_utf8(asset.bytes).unwrap().replace("http://www.w3.org/2000/svg", "");
            for word in ["http:", "https:", "@import", "eval("] {
                assert!(!text.contains(word), "{}: {word}", asset.name);
            }
        }
    }
}
