// Airflow's own choice of light or dark, before anything is painted and whenever it changes.
(() => {
  const apply = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // Storage may be closed to us: then the system decides.
    }
    document.documentElement.style.colorScheme = chosen === "light" || chosen === "dark" ? chosen : "light dark";
  };
  apply();
  addEventListener("storage", apply);
})();
