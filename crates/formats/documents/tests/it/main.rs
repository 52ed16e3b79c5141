//! The writers, judged by what is in the files and by the readers that people use.

mod formats;
mod hostile;
mod readers;
mod sample;
mod unzip;
