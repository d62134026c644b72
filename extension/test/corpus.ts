// Texts that hold a number and texts that only look so. Ours; add a line whenever a page proves us wrong.

export interface Match {
  region: 'NL' | 'BE' | 'DE' | 'GB' | 'US';
  text: string;
  numbers: string[];
}

export const mustMatch: Match[] = [
  { region: 'NL', text: 'Bel 020 123 4567 voor een afspraak', numbers: ['+31201234567'] },
  { region: 'NL', text: '020-1234567', numbers: ['+31201234567'] },
  { region: 'NL', text: 'T (020) 123 45 67', numbers: ['+31201234567'] },
  { region: 'NL', text: '+31 (0)20 123 45 67', numbers: ['+31201234567'] },
  { region: 'NL', text: '0031 20 123 45 67', numbers: ['+31201234567'] },
  { region: 'NL', text: 'Mobiel: 06-12345678', numbers: ['+31612345678'] },
  { region: 'NL', text: 'mobiel 06 12 34 56 78.', numbers: ['+31612345678'] },
  { region: 'NL', text: '+31612345678', numbers: ['+31612345678'] },
  { region: 'NL', text: 'Gratis: 0800-1234567', numbers: ['+318001234567'] },
  { region: 'NL', text: 'Klantenservice 088 123 4567 (ma-vr)', numbers: ['+31881234567'] },
  { region: 'NL', text: '0113 - 21 22 23', numbers: ['+31113212223'] },
  { region: 'NL', text: '020\u00a0123\u00a04567', numbers: ['+31201234567'] },
  { region: 'NL', text: '+31\u202f20\u202f123\u202f4567', numbers: ['+31201234567'] },
  { region: 'NL', text: 'kantoor 010 1234567 tst 12', numbers: ['+31101234567'] },
  { region: 'NL', text: 'Tel.: 030-1234567 / 06-87654321', numbers: ['+31301234567', '+31687654321'] },
  { region: 'NL', text: 'Fax 0318 123 456, tel 0318 123 457', numbers: ['+31318123456', '+31318123457'] },
  { region: 'NL', text: 'Bel ons in België: +32 9 223 45 67', numbers: ['+3292234567'] },
  { region: 'NL', text: '085.123.45.67', numbers: ['+31851234567'] },
  { region: 'BE', text: 'Tel. 09 223 45 67', numbers: ['+3292234567'] },
  { region: 'BE', text: '02/512.34.56', numbers: ['+3225123456'] },
  { region: 'BE', text: 'gsm 0470 12 34 56', numbers: ['+32470123456'] },
  { region: 'BE', text: '+32 (0)470/12.34.56', numbers: ['+32470123456'] },
  { region: 'BE', text: '0800 12 345', numbers: ['+3280012345'] },
  { region: 'DE', text: 'Telefon: 030 123456', numbers: ['+4930123456'] },
  { region: 'DE', text: '030/1234567', numbers: ['+49301234567'] },
  { region: 'DE', text: '+49 (0) 89 12345678', numbers: ['+498912345678'] },
  { region: 'DE', text: '+49 151 23456789', numbers: ['+4915123456789'] },
  { region: 'DE', text: '0171 - 123 45 67', numbers: ['+491711234567'] },
  { region: 'DE', text: 'Zentrale 089 1234-0', numbers: ['+498912340'] },
  { region: 'GB', text: 'Call 020 7946 0123 today', numbers: ['+442079460123'] },
  { region: 'GB', text: '(0161) 496 0123', numbers: ['+441614960123'] },
  { region: 'GB', text: '+44 7911 123456', numbers: ['+447911123456'] },
  { region: 'GB', text: '07400 123456', numbers: ['+447400123456'] },
  { region: 'GB', text: '+44 (0)20 7946 0123', numbers: ['+442079460123'] },
  { region: 'US', text: '(212) 555-0123', numbers: ['+12125550123'] },
  { region: 'US', text: '212-555-0123 ext. 45', numbers: ['+12125550123;ext=45'] },
  { region: 'US', text: '+1 (415) 555-0132', numbers: ['+14155550132'] },
  { region: 'US', text: 'Phone: 415.555.0132', numbers: ['+14155550132'] },
  { region: 'US', text: '1-800-555-0199', numbers: ['+18005550199'] },
];

export const mustNotMatch: { what: string; texts: string[] }[] = [
  { what: 'dates', texts: ['01-02-2024', '2024-01-02', '12.03.2024', '03/04/2024 09:30', '01-02-2024 - 03-04-2024', '2024-01-02 10:15:30', 'van 01.02.2024 tot 03.04.2024'] },
  { what: 'IBAN', texts: ['NL91 ABNA 0417 1643 00', 'NL91ABNA0417164300', 'DE89 3704 0044 0532 0130 00', 'BE68 5390 0754 7034', 'IBAN: GB29 NWBK 6016 1331 9268 19'] },
  { what: 'postcodes', texts: ['1012 AB Amsterdam', '9000 Gent', '10115 Berlin', '1012AB 123', 'Postbus 12345, 1000 AA'] },
  { what: 'prices', texts: ['€ 1.234.567,00', '1.000.000 euro', '100.000.000', '€ 0,01234567', 'EUR 012345678', '$1,234,567.89'] },
  { what: 'IP addresses', texts: ['192.168.100.123', '10.0.0.1:8080', '010.001.002.003', '2001:db8::1234:5678'] },
  { what: 'order numbers', texts: ['Bestelnummer 0201234567', 'Order #0201234567', 'Ordernr. 0612345678', 'Factuur 2024-0012345', 'Ticket 0101234567', 'Klantnummer: 0301234567'] },
  { what: 'patent numbers', texts: ['EP 0123456 B1', 'US 10,123,456 B2', 'Patent 0123456789'] },
  { what: 'EAN and ISBN', texts: ['8710400123456', 'EAN 0712345678911', 'ISBN 978-90-123-4567-8', 'ISBN 90-123-4567-8', '0 12345 67890 5'] },
  { what: 'versions', texts: ['1.2.3.4567890', 'v10.0.19045.3803', 'Chrome/120.0.6099.109', 'build 0123456789'] },
  { what: 'timestamps', texts: ['1700000000', '1700000000000', '20240102101530', '2024-01-02T10:15:30Z', '10:15:30.123456'] },
  { what: 'cards', texts: ['4111 1111 1111 1111', '5500-0000-0000-0004', '0123 4567 8901 2345'] },
  { what: 'KvK', texts: ['KvK 01234567', 'KvK-nummer: 012345678', 'KvK: 30123456', 'KBO 0123.456.789', 'RSIN 012345678'] },
  { what: 'BTW', texts: ['NL001234567B01', 'BTW NL 0012.34.567.B01', 'BTW BE 0123.456.789', 'USt-IdNr. DE012345678'] },
  { what: 'coordinates', texts: ['52.3702157, 4.8951679', '0.1234567, 51.1234567', 'N 52° 22.1234567', '-0.1277583'] },
  { what: 'hashes', texts: ['d41d8cd98f00b204e9800998ecf8427e', 'commit 0123456789', '0x0123456789', 'a1b2-0201234567-ff', 'id=0201234567', '550e8400-e29b-41d4-a716-446655440000'] },
  { what: 'addresses of pages and mail', texts: ['https://a.example/0201234567', 'mail0201234567@a.example', 'file_0201234567.pdf', '/p/0612345678/x'] },
  { what: 'plain figures', texts: ['12345678', '123 456 789', '1 234 567', '1234-5678-9012', '0,0123456789', '2019 2020 2021', '0000000000'] },
];
