/** The reference of the API: opens the operation that a link leads to. */
function openTarget(): void {
  const details = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest('.operation')?.querySelector('details');
  if (details) details.open = true;
}
addEventListener('hashchange', openTarget);
openTarget();
