use media::encode::*;
use media::picture::*;
use std::io::Read;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (w, h): (u32, u32) = (a[2].parse().unwrap(), a[3].parse().unwrap());
    let br: u32 = a[4].parse().unwrap();
    let mut f = std::fs::File::open(&a[1]).unwrap();
    let n = (w * h) as usize;
    let mut buf = vec![0u8; n * 3 / 2];
    let mut e =
        H264Encoder::new(h264::Config { width: w, height: h, frame_rate: (24, 1), bitrate: br })
            .unwrap();
    let mut i = 0i64;
    let mut total = 0;
    let mut none = 0;
    let mut keys = 0;
    let mut t = std::time::Duration::ZERO;
    let mut dec = None;
    let mut ps = 0.0;
    let mut m = 0;
    let mut per = vec![];
    while f.read_exact(&mut buf).is_ok() {
        let y = Yuv {
            y: buf[..n].to_vec(),
            u: buf[n..n * 5 / 4].to_vec(),
            v: buf[n * 5 / 4..].to_vec(),
            subsampling: Subsampling::Half,
            matrix: Matrix::Bt709,
            full_range: false,
        };
        let p = Picture { pts_us: i * 1_000_000 / 24, width: w, height: h, pixels: Pixels::Yuv(y) };
        let s = std::time::Instant::now();
        let r = e.encode(&p, false).unwrap();
        t += s.elapsed();
        match r {
            None => none += 1,
            Some(x) => {
                total += x.payload.len();
                per.push(x.payload.len());
                keys += x.key as u32;
                let d = dec.get_or_insert_with(|| {
                    media::decode::VideoDecoder::new(&e.track().unwrap()).unwrap()
                });
                let out = d
                    .decode(&proto::Packet {
                        header: proto::PacketHeader {
                            pts_us: p.pts_us,
                            dts_us: p.pts_us,
                            ..Default::default()
                        },
                        payload: x.payload,
                    })
                    .unwrap();
                for o in out {
                    if let (Pixels::Yuv(a), Pixels::Yuv(b)) = (&o.pixels, &p.pixels) {
                        let sq: f64 =
                            a.y.iter()
                                .zip(&b.y)
                                .map(|(a, b)| (*a as f64 - *b as f64).powi(2))
                                .sum();
                        ps += 10.0 * (65025.0 * n as f64 / sq.max(1e-9)).log10();
                        m += 1;
                    }
                }
            }
        }
        i += 1;
    }
    per.sort();
    println!(
        "frames {i} none {none} keys {keys} kbit/s {} fps {:.0} psnr {:.2} max {}",
        total as f64 * 8.0 / 1000.0 / (i as f64 / 24.0),
        i as f64 / t.as_secs_f64(),
        ps / m as f64,
        per[per.len() - 1]
    );
}
