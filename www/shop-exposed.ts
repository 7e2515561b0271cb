/** The exposed shop: calls the provider from the page, so the page must hold the provider's key. */
import { call, openShop, Refused } from './shop.ts';

// Put in by the build, as front ends are given theirs: whoever loads the script has it.
declare const SMS_API: string;
declare const SMS_API_KEY: string;

const credential = `Bearer ${SMS_API_KEY}`;

openShop({
  name: 'The SMS provider',
  async send(message) {
    if (SMS_API_KEY === '') throw new Refused('This copy was built without a key. “npm start” makes one that has a key to throw away.');
    return call('POST', `${SMS_API}/messages`, credential, message);
  },
  follow: (id) => call('GET', `${SMS_API}/messages/${id}/events`, credential),
});
