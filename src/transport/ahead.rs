//! What is begun with a hub before it is needed: a socket, and the challenge that is signed on it. Neither says who we are,
//! and nothing is signed or believed before whoever needs them has come to it.

use super::{Answer, Hub};
use crate::failure::Result;
use crate::task::{Once, begin};
use crate::transport::socket::Socket;
use farthing_protocol::api::Call;
use farthing_protocol::api::hub::Challenge;
use farthing_protocol::json;
use std::cell::RefCell;
use std::rc::Rc;

type Opening = Once<Result<Rc<Socket>>>;

/// The socket, what it was asked, and the answer.
type Asked = (Opening, Challenge, Once<Result<Answer>>);

#[derive(Debug, Default)]
pub(super) struct Ahead {
    socket: RefCell<Option<Opening>>,
    challenge: RefCell<Option<Asked>>,
}

impl Hub {
    /// Opens a socket ahead.
    pub fn open_ahead(&self) {
        let mut known = self.ahead.socket.borrow_mut();
        if known.is_none() {
            *known = Some(begin(Socket::open(self.websocket.clone())));
        }
    }

    /// Asks for a challenge ahead, on the socket that is opened ahead.
    pub fn challenge_ahead(&self, params: Challenge) {
        let Some(opening) = self.ahead.socket.borrow().clone() else { return };
        let (id, body) = self.request(Challenge::NAME, &json::encode(&params));
        let opened = opening.clone();
        let asked = begin(async move { super::answer_on(opened.wait().await?, id, body).await });
        self.ahead.challenge.replace(Some((opening, params, asked)));
    }

    /// A socket: the one that was opened ahead, if it is still open.
    pub async fn open_socket(&self) -> Result<Rc<Socket>> {
        let opening = self.ahead.socket.borrow_mut().take();
        if let Some(opening) = opening
            && let Ok(socket) = opening.wait().await
            && !socket.has_ended()
        {
            return Ok(socket);
        }
        Socket::open(self.websocket.clone()).await
    }

    /// A challenge on a socket, which is good for it alone.
    pub async fn challenge(&self, socket: &Rc<Socket>, params: &Challenge) -> Result<Answer> {
        let ahead = self.ahead.challenge.take();
        if let Some((opening, known, asked)) = ahead
            && known == *params
            && opening.wait().await.is_ok_and(|opened| Rc::ptr_eq(&opened, socket))
            && let Ok(answer) = asked.wait().await
            && !answer.is_error()
        {
            return Ok(answer);
        }
        self.call_on(socket, params).await
    }
}
