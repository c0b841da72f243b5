use std::{collections::HashMap, env, error::Error, io, net::TcpListener};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::Server, web};
use http::HeaderMap;
use standardwebhooks::Webhook;

pub(crate) type Verify = fn(&[u8], &HeaderMap, &str) -> Result<(), Box<dyn Error>>;

/// Fails where a request is not what was signed.
pub(crate) fn verify(body: &[u8], headers: &HeaderMap, secret: &str) -> Result<(), Box<dyn Error>> {
    Ok(Webhook::new(secret)?.verify(body, headers)?)
}

// The body is as it came in, not yet parsed.
async fn receive(request: HttpRequest, body: web::Bytes, how: web::Data<(Verify, String)>) -> HttpResponse {
    let (verify, secret) = how.get_ref();
    // actix-web has a HeaderMap of its own.
    let headers: HashMap<String, String> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let headers = HeaderMap::try_from(&headers).map_err(Into::into);
    match headers.and_then(|headers| verify(&body, &headers, secret)) {
        // And now the work, unless the id was here before.
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => {
            eprintln!("refused: {error}");
            HttpResponse::Unauthorized().finish()
        }
    }
}

pub(crate) fn serve(listener: TcpListener, verify: Verify, secret: String) -> io::Result<Server> {
    let how = web::Data::new((verify, secret));
    let receiver = move || App::new().app_data(how.clone()).route("/", web::post().to(receive));
    Ok(HttpServer::new(receiver).listen(listener)?.run())
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let secret = env::var("WEBHOOK_SECRET").map_err(io::Error::other)?; // whsec_… as you got it
    serve(TcpListener::bind("127.0.0.1:8080")?, verify, secret)?.await
}
