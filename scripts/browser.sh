# Sourced by scripts/test: the browser that tests/browser open the program's pages in, Debian's Chromium with its driver.
#
# It is installed where it is missing and may be: as root, or by a sudo that asks for no password. Where it cannot be,
# one line says so, and these tests are skipped.

find_browser() {
    local as_root=()
    if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then return; fi
    if ! command -v apt-get >/dev/null; then
        no_browser "there is no apt-get here"
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            no_browser "on Debian, sudo apt-get install chromium chromium-driver"
            return
        fi
        as_root=(sudo -n)
    fi
    say "Installing chromium and chromium-driver, for tests/browser. This happens once on a machine."
    if ! install_browser >"$ROOT/.cache/browser.log" 2>&1; then
        no_browser "apt-get could not install them: $(tail -n 1 "$ROOT/.cache/browser.log")"
    fi
}

install_browser() {
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -y -o Acquire::Retries=1)
    # A browser without any font shows nothing.
    "${apt[@]}" update && "${apt[@]}" install --no-install-recommends chromium chromium-driver fonts-dejavu-core
}

no_browser() {
    say "No chromium with its driver ($1): tests/browser are skipped."
}
