"""What Ren et al. print ("Neural Blind Deconvolution Using Deep Priors", CVPR 2020), each number once.

PSNR is in dB, SSIM follows it; Δ: with a non-blind step after the kernel was found.
"""

from __future__ import annotations

KNOWN = "known kernel, Δ"
OWN = ("SelfDeblur, Δ", "SelfDeblur")
SELFDEBLUR = (33.07, 0.9313)
"""One run, which stands in Tables 1, 2 and 3."""
DOUBLE_DIP = (21.51, 0.5256)
TABLE_1 = {"alternating": (30.53, 0.8748), "joint": SELFDEBLUR}
TABLE_2 = {
    "1 hidden layer": SELFDEBLUR,
    "2 hidden layers": (30.92, 0.8889),
    "no hidden layer": (28.37, 0.8396),
    "Double-DIP": DOUBLE_DIP,
}
TABLE_3 = {  # then error ratio (that of the released statistic, not Levin's), and seconds where there are any
    KNOWN: (34.53, 0.9492, 1.0000, None),
    "Krishnan et al., Δ": (29.88, 0.8666, 2.4523, 8.9400),
    "Cho & Lee, Δ": (30.57, 0.8966, 1.7113, 1.3951),
    "Levin et al., Δ": (30.80, 0.9092, 1.7724, 78.263),
    "Xu & Jia, Δ": (31.67, 0.9163, 1.4898, 1.1840),
    "Sun et al., Δ": (32.99, 0.9330, 1.2847, 191.03),
    "Zuo et al., Δ": (32.66, 0.9332, 1.2500, 10.998),
    "Pan-DCP, Δ": (32.69, 0.9284, 1.2555, 295.23),
    "SRN": (23.43, 0.7117, 6.0864, None),
    "SelfDeblur, Δ": (33.32, 0.9438, 1.2509, None),
    "SelfDeblur": (*SELFDEBLUR, 1.1968, 224.01),
}
CATEGORIES = ("manmade", "natural", "people", "saturated", "text")
TABLE_4 = {  # PSNR (dB) and SSIM by category, and as averaged in the paper
    "Cho & Lee, Δ": ((16.35, 20.14, 19.90, 14.05, 14.87, 17.06), (0.3890, 0.5198, 0.5560, 0.4927, 0.4429, 0.4801)),
    "Xu & Jia, Δ": ((19.23, 23.03, 25.32, 14.79, 18.56, 20.18), (0.6540, 0.7542, 0.8517, 0.5632, 0.7171, 0.7080)),
    "Xu et al., Δ": ((17.99, 21.58, 24.40, 14.53, 17.64, 19.23), (0.5986, 0.6788, 0.8133, 0.5383, 0.6677, 0.6593)),
    "Michaeli, Δ": ((17.43, 20.70, 23.35, 14.14, 16.23, 18.37), (0.4189, 0.5116, 0.6999, 0.4914, 0.4686, 0.5181)),
    "Perrone, Δ": ((17.41, 21.04, 22.77, 14.24, 16.94, 18.48), (0.5507, 0.6764, 0.7347, 0.5107, 0.5927, 0.6130)),
    "Pan-L0, Δ": ((16.92, 20.92, 23.36, 14.62, 16.87, 18.54), (0.5316, 0.6622, 0.7822, 0.5451, 0.6030, 0.6248)),
    "Pan-DCP, Δ": ((18.59, 22.60, 24.03, 16.52, 17.42, 19.89), (0.5942, 0.6984, 0.7719, 0.6322, 0.6193, 0.6656)),
    "SelfDeblur, Δ": ((20.08, 22.50, 27.41, 16.58, 19.06, 21.13), (0.7338, 0.7183, 0.8784, 0.6165, 0.7126, 0.7319)),
    "SelfDeblur": ((20.35, 22.05, 25.94, 16.35, 20.16, 20.97), (0.7543, 0.7092, 0.8834, 0.6364, 0.7785, 0.7524)),
}
