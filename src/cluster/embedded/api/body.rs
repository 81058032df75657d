//! A request's body as it comes in.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// What is read of a body that nobody wanted, and for how long.
const UNWANTED_BYTES_MAX: usize = 4 << 20;
const UNWANTED_TIME_MAX: Duration = Duration::from_secs(10);

/// A body that may be dropped unread. On HTTP/2 the rest is then taken in apart from the answer, within bounds: a
/// stream whose body nobody reads is reset, and a client that meets the reset while it still sends throws the answer
/// away. On HTTP/1.1 hyper itself sees to what is left.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Option<Incoming>,
    is_multiplexed: bool,
}

impl RequestBody {
    pub fn of(request: hyper::Request<Incoming>) -> hyper::Request<Self> {
        let is_multiplexed = request.version() == http::Version::HTTP_2;
        request.map(|incoming| Self { incoming: Some(incoming), is_multiplexed })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.incoming {
            Some(incoming) => Pin::new(incoming).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take() else { return };
        if self.is_multiplexed && !incoming.is_end_stream() {
            // Outside of a runtime there is no connection left to answer on.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(tokio::time::timeout(UNWANTED_TIME_MAX, discard(incoming)));
            }
        }
    }
}

async fn discard(mut incoming: Incoming) {
    let mut left = UNWANTED_BYTES_MAX;
    while let Some(Ok(frame)) = incoming.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length > left {
            return;
        }
        left -= length;
    }
}
