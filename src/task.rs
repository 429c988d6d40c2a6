//! Waiting: one value, a flag, a pause, the first of two. All on one thread, without an executor of their own.

use crate::failure::{Failure, Result};
use gloo_timers::callback::Timeout;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, Waker};
use wasm_bindgen_futures::spawn_local;

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

    /// The value, if it is there.
    #[must_use]
    pub fn value(&self) -> Option<T> {
        self.state.value.borrow().clone()
    }

    /// Whether anybody but who asks has it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Rc::strong_count(&self.state) > 1
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

/// Begins work at once; its outcome is for everybody who waits for it.
pub fn begin<T: Clone + 'static>(work: impl Future<Output = T> + 'static) -> Once<T> {
    let outcome = Once::default();
    let told = outcome.clone();
    spawn_local(async move { told.send(work.await) });
    outcome
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

/// Both of two, which go on side by side.
pub async fn both<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut one, mut other) = (None, None);
    poll_fn(|context| {
        if one.is_none()
            && let Poll::Ready(value) = first.as_mut().poll(context)
        {
            one = Some(value);
        }
        if other.is_none()
            && let Poll::Ready(value) = second.as_mut().poll(context)
        {
            other = Some(value);
        }
        match (one.take(), other.take()) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            (some, others) => {
                (one, other) = (some, others);
                Poll::Pending
            }
        }
    })
    .await
}

/// All of them, side by side, in their order; or the first failure in that order.
pub async fn all<T>(mut works: Vec<Work<'_, T>>) -> Result<Vec<T>> {
    let mut done: Vec<Option<Result<T>>> = works.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut ready = true;
        for (work, done) in works.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            match work.as_mut().poll(context) {
                Poll::Ready(value) => *done = Some(value),
                Poll::Pending => ready = false,
            }
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// A pause. Its timer goes when the future is dropped, so that it keeps no process alive.
pub async fn sleep(milliseconds: u32) {
    let done = Once::<()>::default();
    let rang = done.clone();
    let _timer = Timeout::new(milliseconds, move || rang.send(()));
    done.wait().await;
}

/// The longest pause that timers take, less than 2^31 - 1 milliseconds, after which they ring at once.
const LONGEST: u64 = 1 << 30;

/// A pause of any length.
pub async fn rest(mut milliseconds: u64) {
    while milliseconds > 0 {
        let part = milliseconds.min(LONGEST);
        sleep(u32::try_from(part).unwrap_or(u32::MAX)).await;
        milliseconds = milliseconds.saturating_sub(part);
    }
}

/// What comes of work within so many milliseconds; after that, this failure.
pub async fn within<T>(milliseconds: u32, work: Work<'_, T>, late: impl FnOnce() -> Failure) -> Result<T> {
    match race(work, sleep(milliseconds)).await {
        Either::First(outcome) => outcome,
        Either::Second(()) => Err(late()),
    }
}

/// Counts one who waits, until it is dropped.
#[derive(Debug)]
pub struct Waits<'a>(&'a Cell<u32>);

impl<'a> Waits<'a> {
    /// One more.
    #[must_use]
    pub fn new(count: &'a Cell<u32>) -> Self {
        count.set(count.get().saturating_add(1));
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
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
