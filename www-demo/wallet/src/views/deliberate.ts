// A press that moves money has to be meant. Whoever opened this window can place it, cover it, bring it to the front under a
// click, make it too small to read, and lead its address to a button of it while the reader holds a key.

/** Milliseconds: a press that was meant for what was here before must not count. */
const SETTLE = 600;

/**
 * Enables a button when all that the reader has to see was in view, and some time after the page came to the front or its
 * address changed. No script's click counts, nor a key that is held.
 */
export function deliberate(button: HTMLButtonElement, see: readonly Element[], act: () => void): void {
  const unseen = new Set(see);
  const address = location.hash;
  const end = new AbortController();
  const { signal } = end;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const settle = () => {
    clearTimeout(timer);
    button.disabled = true;
    if (unseen.size === 0 && document.visibilityState === "visible") timer = setTimeout(() => (button.disabled = false), SETTLE);
  };
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) if (isIntersecting) unseen.delete(target);
      if (unseen.size > 0) return;
      observer.disconnect();
      settle();
    },
    { threshold: 0.75 },
  );
  see.forEach((element) => observer.observe(element));
  window.addEventListener("focus", settle, { signal });
  window.addEventListener("hashchange", settle, { signal });
  document.addEventListener("visibilitychange", settle, { signal });
  button.addEventListener("keydown", (event) => event.repeat && event.preventDefault(), { signal });
  button.addEventListener("click", (event) => {
    // An address that leads to the button is changed before its event comes.
    if (!event.isTrusted || button.disabled || location.hash !== address) return;
    end.abort();
    observer.disconnect();
    act();
  });
}
