/** Sets the theme that the visitor chose, before anything is drawn. Without a choice the system's counts, and nothing is kept. */
{
  const apply = (theme: string | null): void => {
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset['theme'] = theme;
    else delete document.documentElement.dataset['theme'];
  };
  try {
    apply(localStorage.getItem('keyward-theme'));
    // Chosen in another window, or in the page around this frame.
    addEventListener('storage', ({ key, newValue }) => key === 'keyward-theme' && apply(newValue));
  } catch {
    // Storage may be forbidden: then the system's theme it is.
  }
}
