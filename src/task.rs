//! Waiting: one value, a flag, a pause, the first of two. All on one thread, without an executor of their own.

use crate::failure::Result;
use crate::js::Timer;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Work to be waited for, as one type whatever it is: a state machine that is inlined into everybody who waits for
/// it costs the module more than a box costs at run time.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// A value that is sent once, to everybody who waits for it.
#[derive(Debug)]
pub struct Once<T> {
    state: Rc<OnceState<T>>,
}

#[derive(Debug)]
struct OnceState<T> {
    value: RefCell<Option<T>>,
    wakers: RefCell<Vec<Waker>>,
}

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self { state: Rc::clone(&self.state) }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { state: Rc::new(OnceState { value: RefCell::new(None), wakers: RefCell::new(Vec::new()) }) }
    }
}

impl<T: Clone> Once<T> {
    /// Sends the value; only the first one counts.
    pub fn send(&self, value: T) {
        let mut slot = self.state.value.borrow_mut();
        if slot.is_none() {
            *slot = Some(value);
        }
        drop(slot);
        for waker in self.state.wakers.take() {
            waker.wake();
        }
    }

    /// Whether the value is there.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.state.value.borrow().is_some()
    }

    /// Waits for the value.
    pub async fn wait(&self) -> T {
        poll_fn(|context| match &*self.state.value.borrow() {
            Some(value) => Poll::Ready(value.clone()),
            None => {
                remember(&self.state.wakers, context.waker());
                Poll::Pending
            }
        })
        .await
    }
}

/// A bell that may ring many times. Rings before anybody listens are remembered as one.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Bell {
    /// Wakes the listener, now or when it comes.
    pub fn ring(&self) {
        self.rung.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Waits until it rings. There is one listener.
    pub async fn rings(&self) {
        poll_fn(|context| {
            if self.rung.replace(false) {
                return Poll::Ready(());
            }
            self.waker.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Something that changes now and then, with any number of listeners.
#[derive(Debug, Default)]
pub struct Changes {
    count: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
}

impl Changes {
    /// Wakes everybody who waits.
    pub fn notify(&self) {
        self.count.set(self.count.get().wrapping_add(1));
        for waker in self.wakers.take() {
            waker.wake();
        }
    }

    /// Waits for the next change after this call.
    pub async fn next(&self) {
        let seen = self.count.get();
        poll_fn(|context| {
            if self.count.get() != seen {
                return Poll::Ready(());
            }
            remember(&self.wakers, context.waker());
            Poll::Pending
        })
        .await;
    }
}

/// A task that polls again and again is still woken once.
fn remember(wakers: &RefCell<Vec<Waker>>, waker: &Waker) {
    let mut wakers = wakers.borrow_mut();
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}

/// Which of two futures was first.
#[derive(Debug)]
pub enum Either<A, B> {
    /// The first one.
    First(A),
    /// The second one.
    Second(B),
}

/// The first of two to be ready; the other one is dropped.
pub async fn race<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> Either<A, B> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    poll_fn(|context| {
        if let Poll::Ready(value) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(value));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}

/// A pause. Its timer goes when the future is dropped, so that it keeps no process alive.
pub async fn sleep(milliseconds: u32) {
    let done = Once::<()>::default();
    let rang = done.clone();
    let _timer = Timer::new(milliseconds, move || rang.send(()));
    done.wait().await;
}

/// A lock for one asynchronous task at a time.
#[derive(Debug, Default)]
pub struct Mutex {
    locked: Cell<bool>,
    freed: Changes,
}

impl Mutex {
    /// Waits for its turn.
    pub async fn lock(&self) -> Guard<'_> {
        while self.locked.replace(true) {
            self.freed.next().await;
        }
        Guard(self)
    }
}

/// Frees the lock when dropped.
#[derive(Debug)]
pub struct Guard<'a>(&'a Mutex);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.locked.set(false);
        self.0.freed.notify();
    }
}
