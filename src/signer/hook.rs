//! Listeners at the events of a wallet's provider, whose `on` may be missing or throw.

use crate::js::{array, get_function, invoke};
use std::fmt;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// A listener at a provider's event, removed when this is dropped.
pub struct Hook {
    provider: JsValue,
    event: &'static str,
    callback: Rc<Closure<dyn FnMut(JsValue)>>,
}

impl Hook {
    /// `None` where the provider takes no listeners.
    pub fn new(provider: &JsValue, event: &'static str, callback: impl FnMut(JsValue) + 'static) -> Option<Self> {
        get_function(provider, "on")?;
        let callback = Rc::new(Closure::<dyn FnMut(JsValue)>::new(callback));
        let hook = Self { provider: provider.clone(), event, callback };
        hook.call("on").is_ok().then_some(hook)
    }

    fn call(&self, method: &str) -> core::result::Result<JsValue, JsValue> {
        let callback: &JsValue = (*self.callback).as_ref();
        invoke(&self.provider, method, &array([JsValue::from(self.event), callback.clone()]))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.event)
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let removed = self.call("removeListener").or_else(|_| self.call("off"));
        let callback = Rc::clone(&self.callback);
        match removed {
            // It may be dropped by its own call.
            Ok(_) => wasm_bindgen_futures::spawn_local(async move { drop(callback) }),
            // A provider that can't remove it may call it again.
            Err(_) => core::mem::forget(callback),
        }
    }
}
