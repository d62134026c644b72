// Texts that would do something else at a PBX, were they passed on. Each was tried on a real Asterisk (see asterisk/README.md of
// the design): a line end begins another header or action, & rings a second phone, a comma sets a second variable.
const second = 'Action: Originate\r\nChannel: PJSIP/104\r\nContext: from-internal\r\nExten: 0201236666\r\nPriority: 1\r\n\r\n';

export const notNumbers = [
  `0201236666\r\n\r\n${second}`, `0201236666\n\n${second}`, '0201236666\r\nApplication: System\r\nData: id', '0201236666\nPriority: 1', '0201236666\r104',
  '0201236666\u0000', '\u00000201236666', '0201236666\u0000&PJSIP/104', '0201236666&PJSIP/104', '0201236666&0201230000', 'PJSIP/104', 'Local/104@from-internal',
  'Local/0201236666@from-internal/n', '0201236666/n', '0201236666@from-internal', '0201236666|104', '0201236666,1,System(id)', '0201236666,,104&', '${SHELL(id)}',
  '0201236666${SHELL(id)}', '${EXTEN}', '$[1+1]', '0201236666"', "0201236666'; DROP TABLE calls; --", '0201236666<104>', 'sip:104@127.0.0.1', 'javascript:alert(1)',
  '', ' ', '+', '-', '0'.repeat(10_000), `+31${'2'.repeat(40)}`, '0201236666\u2028104', '0201236666\u0085104', '*21*0201236666#', '112', '0900-1234567',
];

export const notNames = ['de Vries\r\nAction: Ping', 'de Vries\nVariable: X=1', 'de Vries\r', 'de Vries\u0000', '\u0000', 'de Vries'.repeat(11), 'de Vries\u0007'];

/** A name that people may really have, or that a page makes up: it is kept as it is, and harms nothing. */
export const oddName = `Jan "de" Vries, <0900> \${SHELL(id)} & 'Zn'; /n|104\\`;
