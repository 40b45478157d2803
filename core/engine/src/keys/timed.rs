use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tazune_link::keys::VerifyingKey;
use tazune_model::StoreFault;
use zeroize::Zeroizing;

use super::{KeyStore, KeyStoreError, Keys};

/// A call of a key store has this long; enough to unlock a store when it asks, short enough for somebody who waits.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Any key store, none of whose calls holds up the device: one that does not answer in time ends as
/// [`KeyStoreError::Late`].
///
/// A call runs on a thread of its own, one at a time. A late one is left to itself and its result is wiped; until it ends,
/// further calls wait for their turn as long as for an answer and are then late too, so that a store that hangs holds one
/// thread and no more.
pub(crate) struct TimedKeyStore {
    store: Keys,
    limit: Duration,
    turn: Arc<Turn>,
}

impl TimedKeyStore {
    /// Wraps `store`.
    pub(crate) fn new(store: Keys) -> Self {
        Self { store, limit: ANSWERS_WITHIN, turn: Arc::default() }
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn KeyStore) -> Result<T, KeyStoreError> + Send + 'static,
    ) -> Result<T, KeyStoreError> {
        let turn = Turn::take(&self.turn, self.limit).ok_or(KeyStoreError::Late)?;
        let (sender, answer) = mpsc::sync_channel(1);
        let store = self.store.clone();
        let thread = thread::Builder::new().name("key store".into()).spawn(move || {
            let result = call(&*store);
            drop(turn);
            // Nobody waits for a late answer; it is dropped and wiped.
            let _ = sender.send(result);
        });
        thread.map_err(|_| KeyStoreError::Storage(StoreFault::Failed))?;
        match answer.recv_timeout(self.limit) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(KeyStoreError::Late),
            // The store panicked; its message is on standard error.
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(KeyStoreError::Storage(StoreFault::Failed)),
        }
    }
}

impl KeyStore for TimedKeyStore {
    fn make_keys(&self) -> Result<(), KeyStoreError> {
        self.call(|store| store.make_keys())
    }

    fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError> {
        self.call(|store| store.transport_public())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        let message = message.to_vec();
        self.call(move |store| store.sign(&message))
    }

    fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError> {
        let key = Zeroizing::new(*key);
        self.call(move |store| store.wrap_key(&key))
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        let wrapped = wrapped.to_vec();
        self.call(move |store| store.unwrap_key(&wrapped))
    }

    fn destroy_staff_key(&self) -> Result<(), KeyStoreError> {
        self.call(|store| store.destroy_staff_key())
    }

    fn destroy_transport_key(&self) -> Result<(), KeyStoreError> {
        self.call(|store| store.destroy_transport_key())
    }

    fn is_insecure(&self) -> bool {
        self.store.is_insecure()
    }
}

/// Whether a call is under way.
#[derive(Default)]
struct Turn {
    is_taken: Mutex<bool>,
    ended: Condvar,
}

impl Turn {
    /// Waits until no call is under way; `None` when that takes longer than `limit`.
    fn take(turn: &Arc<Self>, limit: Duration) -> Option<TakenTurn> {
        let is_taken = turn.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = turn.ended.wait_timeout_while(is_taken, limit, |is_taken| *is_taken);
        let (mut is_taken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        *is_taken = true;
        Some(TakenTurn(turn.clone()))
    }
}

/// Ends the turn when dropped, also by a panic.
struct TakenTurn(Arc<Turn>);

impl Drop for TakenTurn {
    fn drop(&mut self) {
        *self.0.is_taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        RwLock,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::keys::MemoryKeyStore;

    /// Answers when the test lets it.
    #[derive(Default)]
    struct Slow {
        keys: MemoryKeyStore,
        gate: RwLock<()>,
        calls: AtomicUsize,
    }

    impl Slow {
        fn pass(&self) -> &MemoryKeyStore {
            self.calls.fetch_add(1, Ordering::Relaxed);
            drop(self.gate.read().unwrap());
            &self.keys
        }
    }

    impl KeyStore for Slow {
        fn make_keys(&self) -> Result<(), KeyStoreError> {
            self.pass().make_keys()
        }

        fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError> {
            self.pass().transport_public()
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
            assert_ne!(message, b"panic", "as asked");
            self.pass().sign(message)
        }

        fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError> {
            self.pass().wrap_key(key)
        }

        fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
            self.pass().unwrap_key(wrapped)
        }

        fn destroy_staff_key(&self) -> Result<(), KeyStoreError> {
            self.pass().destroy_staff_key()
        }

        fn destroy_transport_key(&self) -> Result<(), KeyStoreError> {
            self.pass().destroy_transport_key()
        }
    }

    fn timed(limit: Duration) -> (Arc<Slow>, TimedKeyStore) {
        let slow = Arc::<Slow>::default();
        slow.make_keys().unwrap();
        (slow.clone(), TimedKeyStore { limit, ..TimedKeyStore::new(slow) })
    }

    #[test]
    fn answers_in_time_pass_through() {
        let (slow, timed) = timed(ANSWERS_WITHIN);
        timed.make_keys().unwrap();
        assert_eq!(timed.transport_public().unwrap(), slow.transport_public().unwrap());
        assert!(!timed.sign(b"x").unwrap().is_empty());
        assert_eq!(*timed.unwrap_key(&timed.wrap_key(&[7; 32]).unwrap()).unwrap(), [7; 32]);
        timed.destroy_staff_key().unwrap();
        assert_eq!(timed.wrap_key(&[7; 32]).unwrap_err(), KeyStoreError::Missing);
        timed.destroy_transport_key().unwrap();
        assert_eq!(timed.sign(b"x").unwrap_err(), KeyStoreError::Missing);
        slow.keys.set_locked(true);
        assert_eq!(timed.sign(b"x").unwrap_err(), KeyStoreError::Locked);
    }

    #[test]
    fn a_store_that_hangs_is_late_for_everybody_and_holds_one_thread_until_it_answers() {
        let (slow, timed) = timed(Duration::from_millis(20));
        let hanging = slow.gate.write().unwrap();
        let before = slow.calls.load(Ordering::Relaxed);
        assert_eq!(timed.make_keys().unwrap_err(), KeyStoreError::Late);
        assert_eq!(timed.transport_public().unwrap_err(), KeyStoreError::Late);
        assert_eq!(timed.sign(b"x").unwrap_err(), KeyStoreError::Late);
        assert_eq!(timed.wrap_key(&[7; 32]).unwrap_err(), KeyStoreError::Late);
        assert_eq!(timed.unwrap_key(&[]).unwrap_err(), KeyStoreError::Late);
        assert_eq!(timed.destroy_staff_key().unwrap_err(), KeyStoreError::Late);
        assert_eq!(timed.destroy_transport_key().unwrap_err(), KeyStoreError::Late);
        assert!(slow.calls.load(Ordering::Relaxed) <= before + 1);
        drop(hanging);
        let patient = TimedKeyStore { limit: ANSWERS_WITHIN, ..timed };
        patient.sign(b"x").unwrap();
    }

    #[test]
    fn calls_made_at_once_take_turns() {
        let (_, timed) = timed(ANSWERS_WITHIN);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| timed.sign(b"x").unwrap());
            }
        });
    }

    #[test]
    fn a_store_that_panics_fails_and_can_be_asked_again() {
        let (_, timed) = timed(ANSWERS_WITHIN);
        assert_eq!(timed.sign(b"panic").unwrap_err(), KeyStoreError::Storage(StoreFault::Failed));
        timed.sign(b"x").unwrap();
    }
}
