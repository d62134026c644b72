import { playAll } from './styles.mjs';

playAll('bare');
