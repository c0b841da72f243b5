use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::{StatusCode, header::HeaderMap},
    web::{self, Bytes, Data, PayloadConfig},
};
use anyhow::Context as _;

/// A subscriber of our own, on a free port of the loopback interface.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
}

/// A request as the receiver sees it.
pub(crate) struct Received<'a> {
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

impl Received<'_> {
    /// A header's value, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

type Answer = Arc<dyn Fn(&Received<'_>) -> StatusCode + Send + Sync>;

/// No event is larger than what a request to the service may be.
const MAX_BODY: usize = 16 * 1024 * 1024;

impl Receiver {
    /// Starts with so many threads; `answer` gives the status for each request.
    pub(crate) fn start(
        threads: usize,
        answer: impl Fn(&Received<'_>) -> StatusCode + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("the receiver cannot listen")?;
        let address = listener.local_addr().context("the receiver has no address")?;
        let answer: Data<Answer> = Data::new(Arc::new(answer));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(answer.clone())
                .app_data(PayloadConfig::new(MAX_BODY))
                .default_service(web::to(receive))
        })
        .workers(threads)
        .disable_signals()
        .listen(listener)
        .context("the receiver cannot listen")?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { address, handle })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

async fn receive(request: HttpRequest, body: Bytes, answer: Data<Answer>) -> HttpResponse {
    let received = Received { path: request.path(), headers: request.headers(), body: &body };
    HttpResponse::new((**answer)(&received))
}
