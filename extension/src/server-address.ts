// What a person types as the server's address, and the sites they name, as the browser wants them.

/** The origin of the server, or null. https, except on this very computer. */
export function serverOrigin(typed: string): string | null {
  const trimmed = typed.trim();
  if (trimmed === '') return null;
  const bare = !/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed);
  const url = tryUrl(bare ? `https://${trimmed}` : trimmed); // URL.parse is too new for Chrome 120
  if (url === null || url.hostname === '' || url.username !== '' || url.password !== '') return null;
  if (url.protocol === 'https:') return url.origin;
  return url.protocol === 'http:' && isLoopback(url.hostname) ? url.origin : null;
}

function tryUrl(address: string): URL | null {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** The permission for that one server. Match patterns of permissions do not tell ports apart. */
export function serverPermission(origin: string): string {
  const url = new URL(origin);
  return `${url.protocol}//${url.hostname}/*`;
}

/** A host name out of what was typed on one line (a name or a whole address), or null. */
export function siteHost(line: string): string | null {
  const typed = line.trim().toLowerCase();
  const host = tryUrl(typed.includes('://') ? typed : `https://${typed.replace(/^\*\./, '')}`)?.hostname;
  return host !== undefined && /^[a-z0-9.-]+$/.test(host) && host !== '' ? host : null;
}

export function sitePatterns(hosts: readonly string[]): string[] {
  return hosts.flatMap((host) => (/^[\d.]+$/.test(host) || !host.includes('.')
    ? [`http://${host}/*`, `https://${host}/*`]
    : [`http://${host}/*`, `https://${host}/*`, `http://*.${host}/*`, `https://*.${host}/*`]));
}

export function isExcluded(host: string, excluded: readonly string[]): boolean {
  return excluded.some((name) => host === name || host.endsWith(`.${name}`));
}
