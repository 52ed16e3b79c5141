// The styles of all of Mantine's parts: loaded with the first page that is not Home, with the palette and with the login.
import '@mantine/core/styles.layer.css';
