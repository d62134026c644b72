import { playAll } from './styles.mjs';

playAll('local');
