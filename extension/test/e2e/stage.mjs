// Everything that a story needs, put together: lab, server, tenant, user, phones, API, browser.
import { signIn } from './api.mjs';
import { watch } from './ami.mjs';
import { sitDown } from './person.mjs';
import { startServer } from './server.mjs';
import { styles } from './stories.mjs';

const email = 'jo@e2e.example';

/** A phone has the name of what it is for. Each has a caller id by which the carrier knows it again. */
export async function setStage({ style, lab, phones: wanted }) {
  const watcher = await watch(lab.watcher);
  const server = await startServer({ pbxUrl: styles[style].pbxUrl(lab) });
  server.addUser(email);
  const phones = new Map(wanted.map(({ name, endpoint, withheld }, i) => {
    const phone = { label: `Phone for story ${i + 1}`, endpoint, callerId: `+3120111${styles[style].block}${200 + i}`, withheld };
    return [name, { ...phone, deviceId: server.addPhone(email, phone) }];
  }));
  const api = await signIn(server, email);
  const live = await api.live();
  const person = await sitDown({ url: server.url, code: server.pairingCode(email) });
  return { style, lab, watcher, server, phones, api, live, person };
}
